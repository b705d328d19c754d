//! scratch
use temporal_lambda_test_structure::Graph;
fn main() {
    let g = Graph::of(std::path::Path::new(&std::env::args().nth(1).unwrap()));
    for c in g.circles() {
        println!("CIRCLE {c:?}");
    }
    for (a, b) in g.rooms() {
        println!("{a} -> {b}");
    }
    if std::env::args().nth(2).is_some() {
        for a in g.arrows() {
            println!("{} -> {}: {}", a.from.display(), a.to.display(), a.name);
        }
    }
}
