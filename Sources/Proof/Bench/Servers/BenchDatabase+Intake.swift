import Holdfast
import Intake
import Logging
import Redis

extension BenchDatabase {
    /// Runs an intake while `body` runs.
    ///
    /// - Parameters:
    ///   - storing: Whether it stores what comes one by one; else it gives receipts, and that is all.
    ///   - body: Is told the port.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    func withIntake<Value: Sendable>(
        storing: Bool = true,
        _ body: (Int) async throws -> Value
    ) async throws -> Value {
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        var configuration = IntakeConfiguration()
        configuration.port = 0
        configuration.access = .open
        // No value is read or written: the node need not be there.
        let values = ValueStore(node: RedisNode(try RedisEndpoint("redis://127.0.0.1:1"), logger: logger))
        var logger = logger
        logger.logLevel = .critical  // Connections that the end of a measurement cuts are no errors.
        let intake = Intake(
            configuration: configuration,
            pool: pool,
            values: values,
            lockNodes: [],
            submissions: storing ? nil : try await nowhere(),
            logger: logger
        ) { listening.yield($0) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { listening.finish() }
                try await intake.run()
            }
            defer { group.cancelAll() }
            for await port in ports { return try await body(port) }
            try await group.waitForAll()
            throw BenchError(description: "the intake did not start")
        }
    }

    /// Where jobs get receipts, and are not stored.
    private func nowhere() async throws -> Submissions {
        let wakeups = Wakeups(pool: pool, logger: logger)
        let receipt = try await Submissions(store: store, wakeups: wakeups)
            .submit(try NewJob(key: "first", value: "v", durationMs: 0))
        return Submissions(store: store, wakeups: wakeups) { jobs in jobs.map { _ in .success(receipt) } }
    }
}
