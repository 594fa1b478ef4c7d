import ArgumentParser

/// What may be done to the system.
enum FaultKind: String, CaseIterable, Sendable, ExpressibleByArgument {
    case killWorker = "kill-worker"
    case freezeWorker = "freeze-worker"
    /// A worker is killed again and again.
    case crashLoop = "crash-loop"
    case killIntake = "kill-intake"
    case freezeIntake = "freeze-intake"
    case stopPostgres = "stop-postgres"
    case crashPostgres = "crash-postgres"
    /// PostgreSQL is stopped for longer than it takes to give a worker up.
    case postgresOutage = "postgres-outage"
    /// All its processes are frozen for so long.
    case postgresFrozen = "postgres-frozen"
    /// Nobody gets a connection to it for so long, and none that there was stays.
    case postgresRefused = "postgres-refused"
    /// Its clock steps.
    case postgresClock = "postgres-clock"
    /// The primary is killed, and its standby promoted.
    case failover
    /// The disk of the lock history is full.
    case fullDisk = "full-disk"
    case killNode = "kill-node"
    case wipeNode = "wipe-node"
    case freezeNode = "freeze-node"
    /// A quorum of lock nodes is away for long.
    case quorumOutage = "quorum-outage"
    /// Lock nodes answer with errors: some, a quorum, or all of them.
    case nodeErrors = "node-errors"
    case killValueNode = "kill-value-node"
    /// The value node is away for long.
    case valueNodeOutage = "value-node-outage"
    case valueNodeErrors = "value-node-errors"
    /// The wall clock of one lock node steps forward, and back.
    case clockStep = "clock-step"
    case cutLink = "cut-link"
    case holdLink = "hold-link"
    case slowLink = "slow-link"
    case lossyLink = "lossy-link"

    /// What it is about: a fault of each group may last at the same time.
    enum Group: CaseIterable {
        /// The program's own processes.
        case processes
        case database
        /// Redis, and the ways between parts.
        case network
    }

    var group: Group {
        switch self {
        case .killWorker, .freezeWorker, .crashLoop, .killIntake, .freezeIntake: .processes
        case .stopPostgres, .crashPostgres, .postgresOutage, .postgresFrozen, .postgresRefused, .postgresClock,
            .failover, .fullDisk:
            .database
        default: .network
        }
    }

    /// Whether it lasts for longer than it takes to give a worker up.
    var isLong: Bool {
        switch self {
        case .postgresOutage, .postgresFrozen, .postgresRefused, .quorumOutage, .nodeErrors, .valueNodeOutage,
            .valueNodeErrors:
            true
        default: false
        }
    }
}
