import Foundation

/// Whom a private PostgreSQL runs as: it refuses to run as root.
struct ServerUser {
    /// The user and group that root gives its server to; `nil` when we aren't root, and the server is ours.
    private let substitute: (user: uid_t, group: gid_t)?

    static func forPostgres() throws(LocalStackError) -> ServerUser {
        guard geteuid() == 0 else { return ServerUser(substitute: nil) }
        guard let entry = getpwnam("postgres") ?? getpwnam("nobody") else {
            throw LocalStackError(
                code: .programMissing,
                description: "PostgreSQL does not run as root, and there is no user postgres"
            )
        }
        return ServerUser(substitute: (entry.pointee.pw_uid, entry.pointee.pw_gid))
    }

    /// Gives a folder to the server's user.
    func own(_ folder: String) throws {
        guard let substitute else { return }
        guard chown(folder, substitute.user, substitute.group) == 0 else {
            throw LocalStackError(code: .badFolder, description: "cannot give \(folder) to the user postgres")
        }
    }

    /// The command that runs `program` as that user.
    func command(_ program: ServerProgram, _ arguments: [String]) throws -> (URL, [String]) {
        let path = try program.locate()
        guard let substitute else { return (path, arguments) }
        // The data may lie below a folder of root's that others cannot enter, such as /root: the server keeps the
        // one capability that lets it pass.
        return (
            try ServerProgram.setpriv.locate(),
            [
                "--reuid=\(substitute.user)", "--regid=\(substitute.group)", "--clear-groups",
                "--inh-caps=+dac_override", "--ambient-caps=+dac_override", path.path,
            ] + arguments
        )
    }
}
