-- A run asks which contacts the new loads brought, and nothing of the years before.
create index contact_load_id_idx on raw.contact (load_id);
