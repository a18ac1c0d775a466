//! What an operator sees: figures and the command line.

use crate::core_with_phones;
use coeur_e2e::{CoreFile, Path, scrape};
use serde_json::Value;

#[test]
fn the_metrics_of_every_process_pass_promtool() {
    packets_or_return!();
    if !coeur_e2e::on_path("promtool") {
        eprintln!("skipped: needs promtool: run `cargo xtask setup`");
        return;
    }
    let (_phones, running) = core_with_phones(Path::Auto, 1);
    for port in [CoreFile::API_PORT, CoreFile::CORE_METRICS_PORT, CoreFile::UPF_METRICS_PORT] {
        let text = running.metrics(port).unwrap();
        assert!(text.lines().any(|line| line.starts_with("coeur_")), "port {port}: {text}");
        assert_eq!(scrape::promtool(&text).unwrap(), "", "port {port}");
        for secret in ["00101000000", "imsi", "10.45."] {
            assert!(!text.contains(secret), "port {port}: {secret} in a metric");
        }
    }
}

#[test]
fn the_command_line_answers_in_json() {
    packets_or_return!();
    let (phones, running) = core_with_phones(Path::Auto, 2);
    let supi = &phones.sessions[0].supi;
    let text = |value: &Value| value.to_string();

    assert!(text(&running.coeur_json(&["status"]).unwrap()).contains("lab-"));
    let list = text(&running.coeur_json(&["subscriber", "list"]).unwrap());
    assert!(list.contains(supi), "{list}");
    let shown = text(&running.coeur_json(&["subscriber", "show", supi]).unwrap());
    assert!(shown.contains(supi) && !shown.contains("465b5ce8"), "a key is never shown: {shown}");
    let sessions = text(&running.coeur_json(&["session", "list"]).unwrap());
    for phone in &phones.sessions {
        assert!(sessions.contains(&phone.address.to_string()), "{sessions}");
    }
    let probe = running.coeur_json(&["nic", "probe", "n3", "n6"]).unwrap();
    assert!(text(&probe).contains("n3"), "{probe}");

    running.coeur(&["subscriber", "remove", supi]).unwrap();
    let error = running.coeur(&["subscriber", "show", supi]).unwrap_err().to_string();
    assert!(error.contains("exit status"), "what is not there is an error: {error}");
}
