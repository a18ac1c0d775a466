//! Every input of every corpus, through its target: a crash that was found once is looked for on every run.

use coeur_fuzz::TARGETS;
use std::fs;
use std::path::PathBuf;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

#[test]
fn every_corpus_replays_without_a_panic() {
    for target in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus(target.name)).unwrap_or_else(|error| panic!("{}: {error}", target.name)) {
            let path = entry.unwrap().path();
            let octets = fs::read(&path).unwrap();
            println!("{}", path.display());
            (target.run)(&octets);
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no corpus: it would never be replayed", target.name);
    }
}

#[test]
fn no_corpus_is_without_its_target() {
    for entry in fs::read_dir(corpus("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(coeur_fuzz::target(&name).is_some(), "corpus/{name} belongs to no target");
    }
}

#[test]
fn inputs_of_every_length_end_without_a_panic() {
    for target in TARGETS {
        for length in [0, 1, 2, 3, 7, 8, 15, 16, 64, 255, 1024, coeur_fuzz::INPUT_OCTETS_MAX] {
            for octet in [0x00, 0x7E, 0xFF] {
                (target.run)(&vec![octet; length]);
            }
        }
    }
}
