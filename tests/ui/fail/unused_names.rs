//! The lints of the compiler report what the body does not use, at the place of the user.

#![deny(unused, non_snake_case)]

use audited::audit_method;

pub struct Point {
    pub x: u8,
    pub y: u8,
}

#[audit_method]
pub fn plain(a: u8, mut b: u8) -> u8 {
    b
}

#[audit_method]
pub fn patterns((a, b): (u8, u8), Point { x, y }: Point) -> u8 {
    b + y
}

#[audit_method]
pub async fn later(_: u8, (a, mut b): (u8, u8)) -> u8 {
    b
}

#[audit_method]
#[track_caller]
pub fn tracked(a: u8, mut b: u8) -> u8 {
    b
}

#[audit_method]
pub fn opaque(a: u8, (b, c): (u8, u8)) -> impl Iterator<Item = u8> {
    0..c
}

#[audit_method]
pub fn assigned(mut a: u8) -> u8 {
    a = 1;
    a
}

#[audit_method]
pub fn spelled(notSnake: u8, (alsoNot, _): (u8, u8)) -> u8 {
    notSnake + alsoNot
}

fn main() {}
