drop index ops.load_drift_pending_idx;
