package import Foundation

/// The programs of the stack, and where Debian and others put them.
package enum ServerProgram: String {
    case initdb
    case postgres
    case createdb
    case basebackup = "pg_basebackup"
    case control = "pg_ctl"
    case psql
    case redisServer = "redis-server"
    case redisBenchmark = "redis-benchmark"
    case setpriv

    /// The environment variable that names the folder of PostgreSQL's programs, in place of the installed ones.
    package static let postgresFolder = "HOLDFAST_POSTGRES_BIN"

    /// Whether it reads or writes a server's data: another version's would not know them.
    private var isOfServer: Bool {
        switch self {
        case .initdb, .postgres, .basebackup, .control: true
        case .createdb, .psql, .redisServer, .redisBenchmark, .setpriv: false
        }
    }

    private var isOfPostgres: Bool { isOfServer || self == .createdb || self == .psql }

    private var package: String {
        switch self {
        case .initdb, .postgres, .createdb, .basebackup, .control: "postgresql"
        case .psql: "postgresql-client"
        case .redisServer: "redis-server"
        case .redisBenchmark: "redis-tools"
        case .setpriv: "util-linux"
        }
    }

    /// The program's path: from the folder that ``postgresFolder`` names, else the installed one.
    ///
    /// A folder without `psql` or `createdb` is no error: the installed ones can ask a server of another version. What
    /// touches the data comes from the folder, so that all of it is of one version.
    ///
    /// - Parameter environment: Has PATH, and may have ``postgresFolder``.
    /// - Returns: The path of a file that can be executed.
    /// - Throws: ``LocalStackError`` when it is not installed, or is not in the folder although it touches the data.
    package func locate(
        in environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(LocalStackError) -> URL {
        if isOfPostgres, let folder = environment[Self.postgresFolder], !folder.isEmpty {
            if let program = find(in: [folder]) { return program }
            guard !isOfServer else {
                throw LocalStackError(
                    code: .programMissing,
                    description: """
                        \(Self.postgresFolder) names \(folder), where there is no program \(rawValue); name the folder \
                        bin of a PostgreSQL server, or unset the variable to use the installed one
                        """
                )
            }
        }
        if let program = find(in: Self.installedFolders(environment)) { return program }
        throw LocalStackError(
            code: .programMissing,
            description: "\(rawValue) is not installed; install it with: apt-get install \(package)"
        )
    }

    private func find(in folders: [String]) -> URL? {
        folders.map { "\($0)/\(rawValue)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
            .map { URL(fileURLWithPath: $0) }
    }

    /// Those of PATH, then Debian's of PostgreSQL, the newest version first.
    private static func installedFolders(_ environment: [String: String]) -> [String] {
        let path = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        // Missing where PostgreSQL is not Debian's.
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        return path.split(separator: ":").map(String.init)
            + versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "/usr/lib/postgresql/\($0)/bin" }
    }
}
