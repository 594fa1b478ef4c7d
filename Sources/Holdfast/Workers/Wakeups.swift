package import Logging
package import Postgres
import Synchronization

/// Wakes workers when a line has become ready.
///
/// NOTIFY takes a lock of the whole database at its commit, so it never rides in an enqueue's transaction: it has one of
/// its own, for all queues that became ready since the last.
package final class Wakeups: Sendable {
    /// The channel; the payload is a queue's name.
    package static let channel = "holdfast_ready"
    /// Where workers hear that an operator asks for something; the payload says what: `cancel`, `pause`, `resume`.
    package static let controlChannel = "holdfast_control"
    /// Between two notifications.
    private static let pause: Duration = .milliseconds(3)
    private static let notify = Statement(
        name: "notify",
        sql: "select pg_notify('\(channel)', q.queue) from unnest($1::text[]) as q(queue)"
    )

    private let pool: PostgresPool
    private let logger: Logger
    private let queues = Mutex<Set<String>>([])
    private let changes: AsyncStream<Void>
    private let change: AsyncStream<Void>.Continuation

    package init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
        (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that a line of `queue` has become ready.
    package func ready(_ queue: String) {
        if queues.withLock({ $0.insert(queue).inserted }) { change.yield() }
    }

    /// Sends what was said, for one who does not ``run()``.
    package func flush() async {
        let ready = queues.withLock { queues in
            defer { queues = [] }
            return Array(queues)
        }
        guard !ready.isEmpty else { return }
        do {
            _ = try await pool.execute(Self.notify, [.texts(ready)], within: .seconds(2))
        } catch {
            // Workers find the line when they poll.
            logger.debug("Workers not notified", metadata: ["error": "\(error)"])
        }
    }

    /// Sends notifications until the task is cancelled.
    package func run() async {
        for await _ in changes {
            await flush()
            try? await Task.sleep(for: Self.pause)  // Cancelled: the stream ends as well.
        }
    }
}
