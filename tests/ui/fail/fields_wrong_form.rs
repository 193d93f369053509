use audited::audited_fields;

#[audited_fields("age", self.ssn, address.street, name(), tags(set = true), seats(redact debug) rank; key = "id")]
struct Pilot {
    id: u64,
    age: u8,
    ssn: String,
    address: Address,
    name: String,
    tags: Vec<u8>,
    seats: Vec<u8>,
    rank: u8,
}

#[audited_fields(0.1; key = (), label, name = Aviator, was = "", parent, crate = 5)]
struct Copilot(Address);

#[audited_fields(tags(was, with = "Vec::len"), seats(with = |seats| seats.len(), rename = Chairs); key(id))]
struct Guest {
    id: u64,
    tags: Vec<u8>,
    seats: Vec<u8>,
}

#[audited_fields(tags(was(), rename), seats(1), -1; key = id; label = id)]
struct Dog {
    id: u64,
    tags: Vec<u8>,
    seats: Vec<u8>,
}

struct Address;

fn main() {}
