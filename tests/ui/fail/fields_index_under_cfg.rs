use audited::audited_fields;

#[audited_fields(0, 2; key = 0)]
struct Pilot(u64, #[cfg(any())] u8, u8);

#[audited_fields(all; key = 1)]
struct Copilot(#[cfg_attr(all(), cfg(any()))] u8, u8);

fn main() {}
