use audited::audited_fields;

#[audited_fields(all)]
pub(crate) enum Rank {
    Ensign,
    Captain { ships: u8 },
}

fn main() {
    let _ = (Rank::Ensign, Rank::Captain { ships: 1 });
}

