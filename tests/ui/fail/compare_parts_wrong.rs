use audited::CompareParts;

#[derive(CompareParts)]
struct Options {
    #[compare(list)]
    hosts: Vec<String>,
}

#[derive(CompareParts)]
#[compare(set)]
struct WrongPlace {
    hosts: Vec<String>,
}

#[derive(CompareParts)]
union Bits {
    whole: u32,
    float: f32,
}

fn main() {}
