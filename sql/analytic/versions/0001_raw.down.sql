drop schema marts cascade;
drop schema pub cascade;
drop schema build cascade;
drop schema ops cascade;
drop schema raw cascade;
