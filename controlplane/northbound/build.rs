//! Generates server and client of the contract. Needs `protoc` (Debian: protobuf-compiler).

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::configure().compile_protos(&["proto/coeur/core/v1/core.proto"], &["proto"])
}
