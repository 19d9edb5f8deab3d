//! Where processes run, and how near they are to each other.

use opentelemetry::KeyValue;

/// Where a process runs; empty where nobody knows.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
}

/// How near a source of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearness {
    /// On the same node.
    Node,
    /// In the same zone.
    Zone,
    /// In another zone: what clouds charge for.
    Other,
    /// Nobody knows: one of the two has told no zone.
    Unknown,
}

impl Nearness {
    /// Each of them.
    pub(crate) const ALL: [Self; 4] = [Self::Node, Self::Zone, Self::Other, Self::Unknown];

    /// As a label of metrics.
    pub(crate) fn label(self) -> KeyValue {
        let text = match self {
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Other => "other-zone",
            Self::Unknown => "unknown",
        };
        KeyValue::new("nearness", text)
    }
}
