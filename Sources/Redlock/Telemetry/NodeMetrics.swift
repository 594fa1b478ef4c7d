import CoreMetrics

/// What is counted about one node.
struct NodeMetrics: Sendable {
    /// Connections made; all but the first are reconnections.
    let connections: Counter
    let losses: Counter
    /// 1 while the node has no vote because it may have forgotten locks, else 0.
    let quarantined: Gauge

    init(node: String) {
        let dimensions = [("node", node)]
        connections = Counter(label: "holdfast_lock_node_connections_total", dimensions: dimensions)
        losses = Counter(label: "holdfast_lock_node_losses_total", dimensions: dimensions)
        quarantined = Gauge(label: "holdfast_lock_node_quarantined", dimensions: dimensions)
    }
}
