//! Every call on the record.
