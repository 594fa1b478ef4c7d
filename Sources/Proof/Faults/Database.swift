import Holdfast
import LocalStack
import Postgres
import Synchronization

/// The database of a run: a primary, and where the run's faults need it, a synchronous standby and a small disk for the
/// lock history of each.
final class Database: Sendable {
    private struct Place {
        let server: PostgresServer
        let disk: SmallDisk?
    }

    private struct Places {
        var primary: Place
        var standby: Place?
    }

    private let places: Mutex<Places>
    /// The wall clock of its servers.
    let clock: SteppedClock

    private init(_ primary: Place, _ clock: SteppedClock) {
        places = Mutex(Places(primary: primary))
        self.clock = clock
    }

    /// Starts it, with the schema.
    ///
    /// - Parameters:
    ///   - folder: For all of it.
    ///   - kinds: The run's faults.
    /// - Returns: The database, ready.
    /// - Throws: When a server does not come up.
    static func start(in folder: String, for kinds: [FaultKind]) async throws -> Database {
        let clock = try SteppedClock("\(folder)/database-clock")
        let launcher = kinds.contains(.postgresClock) ? clock.launcher : []
        let server = try await PostgresServer.start(in: "\(folder)/postgres", launcher: launcher)
        try await server.createDatabase(LocalStack.database)
        let url = server.connectionString(database: LocalStack.database)
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(connectionString: url, applicationName: "faults"),
            size: 1,
            logger: .quiet
        )
        defer { pool.close() }
        _ = try await Migrator(pool: pool, logger: .quiet).migrate()
        let primary = Place(server: server, disk: try disk("disk-1", folder, kinds))
        if let disk = primary.disk {
            try await server.move("holdfast.lock_history", of: LocalStack.database, to: disk)
        }
        let database = Database(primary, clock)
        if kinds.contains(.failover) {
            try await database.addStandby(in: "\(folder)/standby", try disk("disk-2", folder, kinds))
        }
        return database
    }

    private static func disk(_ name: String, _ folder: String, _ kinds: [FaultKind]) throws -> SmallDisk? {
        guard kinds.contains(.fullDisk) else { return nil }
        return try SmallDisk(at: "\(folder)/\(name)", megabytes: 64)
    }

    /// The server that takes writes.
    var primary: PostgresServer { places.withLock { $0.primary.server } }

    /// What the primary keeps the lock history on; `nil` when the run does not fill it, or this process may not mount.
    var disk: SmallDisk? { places.withLock { $0.primary.disk } }

    /// A libpq connection URI that leads to the primary.
    var url: String {
        let places = places.withLock { $0 }
        guard let standby = places.standby?.server else {
            return places.primary.server.connectionString(database: LocalStack.database)
        }
        return places.primary.server.connectionString(or: standby, database: LocalStack.database)
    }

    /// Kills the primary, and promotes the standby after a while.
    func failOver(after pause: Duration) async throws {
        let (old, new) = places.withLock { ($0.primary, $0.standby) }
        guard let new else { return }
        await old.server.kill()
        try await Task.sleep(for: pause)
        try await new.server.promote()
        places.withLock { $0 = Places(primary: new, standby: old) }
    }

    /// Makes a new standby in the place of a primary that was killed.
    func renewStandby() async throws {
        guard let old = places.withLock({ $0.standby }) else { return }
        try await addStandby(in: old.server.folder, old.disk)
    }

    private func addStandby(in folder: String, _ disk: SmallDisk?) async throws {
        let primary = places.withLock { $0.primary }
        var options: [String] = []
        if let disk, let other = primary.disk {
            try disk.clear()
            options = ["-T", "\(other.data)=\(disk.data)"]
        }
        let standby = try await primary.server.startStandby(in: folder, options: options)
        places.withLock { $0.standby = Place(server: standby, disk: disk) }
    }

    /// Stops it.
    func stop() async {
        let places = places.withLock { $0 }
        // The primary first: it hands on to its standby what that has not got.
        await places.primary.server.stop()
        await places.standby?.server.stop()
    }

    /// Unmounts its small disks once it has stopped.
    ///
    /// - Parameter keepingFiles: Whether what is on them is to be looked at.
    /// - Throws: When that cannot be kept.
    func unmount(keepingFiles: Bool) async throws {
        let places = places.withLock { $0 }
        for disk in [places.primary.disk, places.standby?.disk] {
            try await disk?.unmount(keepingFiles: keepingFiles)
        }
    }
}
