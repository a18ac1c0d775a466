//! Links usrsctp: statically where its archive is (Debian's libusrsctp-dev has one), so that the binary runs on machines
//! without the package; dynamically otherwise. `COEUR_USRSCTP_LIB_DIR` names another folder to look in first.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=COEUR_USRSCTP_LIB_DIR");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::var_os("COEUR_USRSCTP_LIB_DIR").into_iter().map(PathBuf::from).collect();
    folders.push(format!("/usr/lib/{arch}-linux-gnu").into());
    folders.extend(["/usr/lib64", "/usr/lib", "/usr/local/lib"].map(PathBuf::from));
    match folders.iter().find(|folder| folder.join("libusrsctp.a").is_file()) {
        Some(folder) => {
            println!("cargo:rustc-link-search=native={}", folder.display());
            println!("cargo:rustc-link-lib=static=usrsctp");
        }
        None => {
            if let Some(folder) = folders.iter().find(|folder| folder.join("libusrsctp.so").is_file()) {
                println!("cargo:rustc-link-search=native={}", folder.display());
            } else {
                println!(
                    "cargo:warning=libusrsctp not found: install Debian's libusrsctp-dev (apt-get install libusrsctp-dev)"
                );
            }
            println!("cargo:rustc-link-lib=dylib=usrsctp");
        }
    }
}
