//! Where processes run, and how near they are to each other.

use opentelemetry::KeyValue;

/// Where a process runs; empty where that is not known.
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
    /// In another zone: clouds charge for this traffic.
    Other,
    /// Not known: the zone of one of the two is not known.
    Unknown,
}

impl Nearness {
    /// All of them.
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
