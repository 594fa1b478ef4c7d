import ArgumentParser
import Foundation
import Holdfast
import Postgres
import Redlock
import ServiceLifecycle
import Worker

/// The command `holdfast work`.
struct Work: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run jobs.",
        discussion: """
            Any number may run at once, on any number of machines. SIGTERM stops claiming and lets running tasks finish, \
            up to --drain-seconds; what still runs then is cancelled, and its job put back in line. SIGHUP changes nothing. If the process dies, \
            its heartbeats stop: after 5 s another worker takes it for dead, and its jobs run elsewhere when their locks \
            have expired.
            """
    )

    @Option(help: "How many tasks it runs at once. HOLDFAST_WORKER_SLOTS, worker.slots. Default: 1000.")
    var slots: Int?

    @Option(help: "The queues it serves, separated by commas. HOLDFAST_WORKER_QUEUES, worker.queues. Default: default.")
    var queues: String?

    @Option(help: "What it is called. HOLDFAST_WORKER_NAME, worker.name. Default: host name and process id.")
    var name: String?

    @Option(
        name: .customLong("drain-seconds"),
        help: "How long running tasks may take after SIGTERM. HOLDFAST_WORKER_DRAIN_SECONDS. Default: 30."
    )
    var drainSeconds: Int?

    @Option(
        name: .customLong("listen-url"),
        help: ArgumentHelp(
            "The database once more, past a pooler that cannot carry notifications. HOLDFAST_DATABASE_LISTEN_URL.",
            discussion: "Default: --database-url. Without notifications, work is found by looking each second.",
            valueName: "url"
        )
    )
    var listenURL: String?

    @Option(
        name: .customLong("keep-finished-days"),
        help: "How long finished jobs are kept. HOLDFAST_RETENTION_FINISHED_DAYS. Default: 30."
    )
    var keepFinishedDays: Int?

    @Option(
        name: .customLong("keep-history-days"),
        help: "How long the lock history is kept. HOLDFAST_RETENTION_HISTORY_DAYS. Default: 400."
    )
    var keepHistoryDays: Int?

    @Option(
        name: .customLong("health-port"),
        help: "Where it serves /healthz, /readyz, /metrics; 0 takes any. HOLDFAST_WORKER_HEALTH_PORT. Default: nowhere."
    )
    var healthPort: Int?

    @Option(
        name: .customLong("health-host"),
        help: "The address for --health-port. HOLDFAST_WORKER_HEALTH_HOST. Default: 127.0.0.1."
    )
    var healthHost: String?

    @OptionGroup var common: CommonOptions
    @OptionGroup var nodes: NodeOptions

    @Flag(help: .hidden)
    var endWithParent = false

    func run() async throws {
        let own: [String: String?] = [
            "worker.slots": slots.map(String.init), "worker.queues": queues, "worker.name": name,
            "worker.drainSeconds": drainSeconds.map(String.init),
            "database.listenURL": listenURL, "retention.finishedDays": keepFinishedDays.map(String.init),
            "retention.historyDays": keepHistoryDays.map(String.init),
            "worker.healthPort": healthPort.map(String.init), "worker.healthHost": healthHost,
        ]
        let flags = own.merging(common.values) { $1 }.merging(nodes.values) { $1 }
        let settings = try await Settings(flags: flags, file: common.configurationFile)
        var configuration = WorkerConfiguration()
        configuration.name =
            try settings.text("worker.name")
            ?? "\(ProcessInfo.processInfo.hostName):\(ProcessInfo.processInfo.processIdentifier)"
        configuration.slots = try settings.integer(
            "worker.slots",
            flag: "--slots",
            in: 1...100_000,
            default: configuration.slots
        )
        configuration.queues = try settings.queues() ?? configuration.queues
        configuration.retention.finishedDays = Int32(
            try settings.integer("retention.finishedDays", flag: "--keep-finished-days", in: 1...36_500, default: 30)
        )
        configuration.retention.historyDays = Int32(
            try settings.integer("retention.historyDays", flag: "--keep-history-days", in: 1...36_500, default: 400)
        )
        let drain = try settings.integer("worker.drainSeconds", flag: "--drain-seconds", in: 0...86_400, default: 30)
        let healthPort = try settings.integer("worker.healthPort", flag: "--health-port", in: -1...65535, default: -1)
        let logger = try settings.makeLogger(configuration.name)
        let metrics = Settings.startMetrics()
        let backends = try settings.backends("worker", connections: configuration.connections, planning: .once, logger)
        try await backends.whileConnected {
            try await backends.requireIndependentNodes()
            let watch = try await backends.requireDatabase(logger)
            backends.report(to: metrics)
            let redlock = backends.makeRedlock(logger)
            let draining = DrainState()
            let worker = Worker(
                configuration: configuration,
                pool: backends.pool,
                database: try settings.listening("worker") ?? backends.database,
                redlock: redlock,
                handlers: [
                    LockAndSet(values: ValueStore(backends.valueNode)) { [pool = backends.pool] in
                        try await QueueOperations(pool: pool).lastFence()
                    }
                ],
                logger: logger
            )
            var services: [any Service] = [worker, DrainNotice(drain: draining, delay: .zero)]
            if let watch { services.append(watch) }
            if healthPort >= 0 {
                let database = DatabaseReadiness(pool: backends.pool)
                let host = try settings.text("worker.healthHost") ?? "127.0.0.1"
                let health = HealthServer(host: host, port: healthPort, logger: logger) {
                    if draining.isDraining { return "it is shutting down" }
                    return await database.reason() ?? worker.obstacle
                }
                health.show(metrics)
                // First, so that it ends last: it tells that the worker drains.
                services.insert(Listening(server: health.makeService(), host: host, port: healthPort), at: 0)
            }
            // Last to end, or the signal would end what still drains.
            services.insert(await Reload(logger: logger), at: 0)
            try await ServiceRunner.run(
                services,
                drainLimit: .seconds(drain),
                endsWithParent: endWithParent,
                logger
            )
        }
    }
}

extension Settings {
    /// The queues that a worker is to serve; `nil` when they are not set.
    ///
    /// - Throws: ``InvalidSetting`` when there are none, or one of them can hardly be meant.
    func queues() throws(InvalidSetting) -> [String]? {
        guard let names = list("worker.queues") else { return nil }
        let setting = "--queues (HOLDFAST_WORKER_QUEUES)"
        guard !names.isEmpty else {
            throw InvalidSetting(
                "\(setting) names no queue; name those it is to serve, separated by commas, or leave it out."
            )
        }
        for name in names {
            let isOdd = name.contains { $0.isWhitespace || "*'\"".contains($0) }
            guard !isOdd, name.utf8.count <= 128 else {
                throw InvalidSetting(
                    """
                    \(setting) has a name that no queue should have: \(name.debugDescription). Separate names by commas, \
                    without quotation marks; there is no name for all queues.
                    """
                )
            }
        }
        // In their order, each once.
        return names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
