drop index raw.contact_load_id_idx;
