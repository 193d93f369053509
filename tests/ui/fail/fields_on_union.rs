use audited::audited_fields;

#[audited_fields(whole; key = whole)]
union Bits {
    whole: u32,
    parts: [u8; 4],
}

fn main() {
    let _ = (Bits { whole: 1 }, Bits { parts: [0; 4] });
}

