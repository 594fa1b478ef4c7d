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

    private var package: String {
        switch self {
        case .initdb, .postgres, .createdb, .basebackup, .control: "postgresql"
        case .psql: "postgresql-client"
        case .redisServer: "redis-server"
        case .redisBenchmark: "redis-tools"
        case .setpriv: "util-linux"
        }
    }

    /// The program's path: from PATH, else from Debian's folders of PostgreSQL, the newest version first.
    package func locate() throws(LocalStackError) -> URL {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        // Missing where PostgreSQL is not Debian's.
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let folders =
            path.split(separator: ":").map(String.init)
            + versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "/usr/lib/postgresql/\($0)/bin" }
        for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(rawValue)") {
            return URL(fileURLWithPath: "\(folder)/\(rawValue)")
        }
        throw LocalStackError(
            code: .programMissing,
            description: "\(rawValue) is not installed; install it with: apt-get install \(package)"
        )
    }
}
