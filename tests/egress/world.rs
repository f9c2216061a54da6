//! The rules that open loopback.

use std::sync::Arc;

use waystation::egress::Egress;

/// A door with rules, as in the setting.
pub fn door(rules: &str) -> Arc<Egress> {
    Arc::new(Egress::new(rules.parse().unwrap()))
}
