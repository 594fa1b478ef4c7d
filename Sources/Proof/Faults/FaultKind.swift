import ArgumentParser

/// What may be done to the system.
enum FaultKind: String, CaseIterable, Sendable, ExpressibleByArgument {
    case killWorker = "kill-worker"
    case freezeWorker = "freeze-worker"
    case killIntake = "kill-intake"
    case freezeIntake = "freeze-intake"
    case killNode = "kill-node"
    case wipeNode = "wipe-node"
    case freezeNode = "freeze-node"
    case killValueNode = "kill-value-node"
    case stopPostgres = "stop-postgres"
    case crashPostgres = "crash-postgres"
    /// The primary is killed, and its standby promoted.
    case failover
    /// The disk of the lock history is full.
    case fullDisk = "full-disk"
    /// The wall clock of one lock node steps forward, and back.
    case clockStep = "clock-step"
    case cutLink = "cut-link"
    case holdLink = "hold-link"
    case slowLink = "slow-link"
    case lossyLink = "lossy-link"

    /// Whether it is about the program's own processes; the others are about servers and the network.
    var isOfProcesses: Bool {
        switch self {
        case .killWorker, .freezeWorker, .killIntake, .freezeIntake: true
        default: false
        }
    }
}
