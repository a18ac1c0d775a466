//! The one step of MILENAGE that an operator's interface needs: OPc from OP (TS 35.206, 4.1).

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use coeur_model::Secret;

/// OPc = OP xor E_K(OP). A core stores OPc only, so that OP, which is the operator's, need not be kept anywhere.
pub fn opc(k: &Secret<16>, op: &Secret<16>) -> Secret<16> {
    let mut block = (*op.expose()).into();
    Aes128::new(k.expose().into()).encrypt_block(&mut block);
    let mut octets: [u8; 16] = block.into();
    for (octet, op) in octets.iter_mut().zip(op.expose()) {
        *octet ^= op;
    }
    Secret::new(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_sets_1_and_2_of_ts_35_208() {
        for (k, op, expected) in [
            (
                "465b5ce8b199b49faa5f0a2ee238a6bc",
                "cdc202d5123e20f62b6d676ac72cb318",
                "cd63cb71954a9f4e48a5994e37a02baf",
            ),
            (
                "0396eb317b6d1c36f19c1c84cd6ffd16",
                "ff53bade17df5d4e793073ce9d7579fa",
                "53c15671c60a4b731c55b4a441c0bde2",
            ),
        ] {
            let [k, op, expected] = [k, op, expected].map(|hex| Secret::<16>::from_hex(hex).unwrap());
            assert_eq!(opc(&k, &op).expose(), expected.expose());
        }
    }
}
