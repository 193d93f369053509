use audited::audited_fields;

struct Pilot;

#[audited_fields(age)]
pub fn promote(_age: u8) {}

#[audited_fields(age)]
const fn constant(_age: u8) {}

#[audited_fields(age)]
impl Pilot {}

#[audited_fields(age)]
type Aviator = Pilot;

#[audited_fields(age)]
pub trait Flies {}

#[audited_fields(age)]
mod fleet {}

#[audited_fields(age)]
static ONE: Aviator = Pilot;

fn main() {
    promote(1);
    constant(1);
    let _ = &ONE;
}

