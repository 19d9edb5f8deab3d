//! Compiles proto/ without a system protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../proto";
    let files = ["peral/v1/types.proto", "peral/v1/peer.proto", "peral/v1/control.proto"];
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile(files, [proto])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
