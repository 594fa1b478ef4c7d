import CoreMetrics
import Holdfast
import Postgres
import Redis
import Redlock
import Telemetry

extension Settings {
    /// Counts from now on what the process does; before anything that counts is made.
    static func startMetrics() -> MetricsRegistry {
        let metrics = MetricsRegistry()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }
}

extension Backends {
    /// Adds the use of the pool, and the lock nodes as this process sees them.
    func report(to metrics: MetricsRegistry) {
        metrics.addSource { [pool, lockNodes, valueNode] in
            let status = pool.status
            let isWritable = valueNode.obstacle == nil ? 1 : 0
            let connections = [("idle", status.idle), ("lent", status.lent), ("opening", status.opening)]
            return connections.map { MetricSample("holdfast_database_connections", $1, [("state", $0)]) } + [
                MetricSample("holdfast_database_connections_limit", pool.size),
                MetricSample("holdfast_database_waiters", status.waiting),
                MetricSample("holdfast_lock_nodes", lockNodes.count),
                MetricSample("holdfast_lock_nodes_voting", lockNodes.count(where: \.mayVote)),
                MetricSample("holdfast_lock_quorum", lockNodes.count / 2 + 1),
                MetricSample("holdfast_value_node_writable", isWritable, [("node", valueNode.name)]),
                MetricSample("holdfast_log_lines_dropped_total", LineWriter.standardError.dropped),
            ]
                + lockNodes.flatMap { node in
                    let name = [("node", node.name)]
                    return [
                        MetricSample("holdfast_lock_node_connected", node.connection.isConnected ? 1 : 0, name),
                        MetricSample("holdfast_lock_node_refuses", node.refusal == nil ? 0 : 1, name),
                    ]
                }
        }
    }
}
