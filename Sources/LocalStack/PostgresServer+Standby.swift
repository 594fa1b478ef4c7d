import Foundation

extension PostgresServer {
    /// Starts a standby: from now on, a commit returns once the standby has it on disk.
    ///
    /// - Parameters:
    ///   - folder: As of ``start(in:settings:launcher:)``; data in it are thrown away.
    ///   - options: More arguments for `pg_basebackup`.
    /// - Returns: The standby, which follows this server, and can be read.
    /// - Throws: ``LocalStackError`` when it does not come up, or does not follow.
    package func startStandby(in folder: String, options: [String] = []) async throws -> PostgresServer {
        let standby = try PostgresServer(
            folder: URL(fileURLWithPath: folder).path,
            settings: settings,
            launcher: launcher
        )
        try await ServerFolder.remove(standby.dataFolder)
        try await standby.makeData(
            by: .basebackup,
            ["-h", socketFolder, "-U", "holdfast", "-R", "-X", "stream", "-c", "fast", "--no-sync"] + options
        )
        try await standby.start()
        // After the copy was made: the standby, once promoted, waits for nobody.
        try await query("alter system set synchronous_standby_names = '*'")
        try await query("select pg_reload_conf()")
        let deadline = ContinuousClock.now + .seconds(30)
        while try await query("select count(*) from pg_stat_replication where sync_state = 'sync'") != "1" {
            guard ContinuousClock.now < deadline else {
                throw LocalStackError(code: .notReady, description: "the standby in \(folder) does not follow")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return standby
    }

    /// Makes a standby a primary, whose commits wait for nobody; what was committed on the old one is there.
    package func promote() async throws {
        let (status, output) = try await run(.control, ["promote", "-w", "-D", dataFolder], asServer: true)
        guard status == 0 else {
            throw LocalStackError(code: .notReady, description: "\(folder) cannot be promoted: \(output)")
        }
    }

    /// A libpq connection URI that names this server and another, and leads to the one that is the primary.
    package func connectionString(
        or other: PostgresServer,
        database: String = "postgres",
        user: String = "holdfast"
    ) -> String {
        "postgresql:///\(database)?host=\(host),\(other.host)&user=\(user)&target_session_attrs=read-write"
    }

    /// Moves a table and its partitions, also those to come, to a disk.
    package func move(_ table: String, of database: String, to disk: SmallDisk) async throws {
        try await query("create tablespace small location '\(disk.data)'")
        try await query("alter table \(table) set tablespace small", database)
        try await query(
            """
            do $$ declare partition regclass; begin
                for partition in select inhrelid from pg_inherits where inhparent = '\(table)'::regclass loop
                    execute format('alter table %s set tablespace small', partition);
                end loop;
            end $$
            """,
            database
        )
    }

    @discardableResult
    private func query(_ sql: String, _ database: String = "postgres") async throws -> String {
        let arguments = ["-h", socketFolder, "-U", "holdfast", "-d", database, "-XAtq", "-c", sql]
        let (status, output) = try await run(.psql, arguments)
        guard status == 0 else { throw LocalStackError(code: .notReady, description: "\(folder): \(output)") }
        return output
    }
}
