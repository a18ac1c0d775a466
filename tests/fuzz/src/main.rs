//! libFuzzer's side: `COEUR_FUZZ_TARGET` names the target, libFuzzer has the main function and the arguments.
#![no_main]

use coeur_fuzz::Target;
use std::sync::OnceLock;

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("COEUR_FUZZ_TARGET").unwrap_or_default();
        let names = || coeur_fuzz::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        coeur_fuzz::target(&name).unwrap_or_else(|| {
            eprintln!("error: COEUR_FUZZ_TARGET is {name:?}, expected one of {}", names());
            std::process::exit(2)
        })
    });
    (chosen.run)(octets);
});
