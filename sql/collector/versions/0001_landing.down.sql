drop schema collector cascade;
