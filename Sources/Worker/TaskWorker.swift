public import Holdfast
public import Logging
import Postgres
import Redlock
public import ServiceLifecycle

/// A worker process of one's own: it runs the jobs whose kinds its handlers know.
///
/// ```swift
/// let worker = try TaskWorker(
///     database: "postgresql://holdfast@db/holdfast",
///     lockNodes: ["redis://r1", "redis://r2", "redis://r3"],
///     handlers: [SendInvoice()]
/// )
/// try await ServiceGroup(services: [worker], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
/// Any number may run at once, beside `holdfast work`, on any number of machines. The order of the lock nodes does not
/// matter, but all who are to exclude each other must name the same.
public struct TaskWorker: Service {
    /// What it was made with cannot work.
    public struct Invalid: Error, CustomStringConvertible {
        /// What is wrong, and what to do.
        public let description: String
    }

    private let configuration: WorkerConfiguration
    private let database: PostgresConfiguration
    private let redlock: Redlock
    private let handlers: [any TaskHandler]
    private let logger: Logger

    /// Makes a worker that does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - database: A libpq connection string or URI of the database that `holdfast migrate` has prepared.
    ///   - lockNodes: URLs of one, or an odd number, of Redis nodes that share nothing.
    ///   - handlers: The code for each kind of job; of two for one kind, the later.
    ///   - configuration: Its name, queues and limits.
    ///   - logger: For what it does.
    /// - Throws: ``Invalid``.
    public init(
        database: String,
        lockNodes: [String],
        handlers: [any TaskHandler],
        configuration: WorkerConfiguration = WorkerConfiguration(),
        logger: Logger = Logger(label: "holdfast.worker")
    ) throws(Invalid) {
        do {
            var database = try PostgresConfiguration(connectionString: database, applicationName: configuration.name)
            database.planning = .once
            self.database = database
            redlock = try Redlock(nodes: lockNodes, logger: logger)
            for handler in handlers { _ = try NewJob.name(type(of: handler).kind, field: "kind") }
        } catch {
            throw Invalid(description: "\(error)")
        }
        self.configuration = configuration
        self.handlers = handlers
        self.logger = logger
    }

    /// Serves until it is shut down: gracefully, it finishes what runs; cancelled, it cancels what runs, gives the locks
    /// back, and puts those jobs back in line.
    ///
    /// It waits for a database that is away.
    ///
    /// - Throws: ``Invalid`` when the database cannot be worked with: it has not been migrated, for example.
    public func run() async throws {
        let pool = PostgresPool(configuration: database, size: configuration.connections, logger: logger)
        defer { pool.close() }
        try await redlock.whileConnected {
            guard try await requireDatabase(pool) else { return }
            let worker = Worker(
                configuration: configuration,
                pool: pool,
                database: database,
                redlock: redlock,
                handlers: handlers,
                logger: logger
            )
            try await worker.run()
        }
    }

    /// - Returns: Whether it is there; not when the worker is shut down first.
    private func requireDatabase(_ pool: PostgresPool) async throws -> Bool {
        let wrong: String?
        do {
            wrong = try await cancelWhenGracefulShutdown {
                try await DatabaseCheck(pool: pool, logger: logger).wait()
            }
        } catch is CancellationError {
            return false
        }
        if let wrong { throw Invalid(description: wrong) }
        return true
    }
}
