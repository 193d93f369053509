//! A `const fn` can be evaluated at compile time, where nothing can be recorded.

use audited::audit_method;

#[audit_method]
const fn double(n: u8) -> u8 {
    n * 2
}

struct Rate(u8);

impl Rate {
    #[audit_method(action = "read the rate", skip(self))]
    pub const unsafe fn get(&self) -> u8 {
        self.0
    }
}

fn main() {
    // The function itself is still there: no second error about it.
    const FOUR: u8 = double(2);
    assert_eq!(FOUR, unsafe { Rate(4).get() });
}
