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
        if let closed = Self.closedFolder(above: path, to: substitute.user, of: substitute.group) {
            throw LocalStackError(
                code: .programMissing,
                description: """
                    PostgreSQL does not run as root, and the user postgres may not enter \(closed), where \
                    \(program.rawValue) is; copy PostgreSQL to where everyone may enter, and name the copy's folder bin \
                    in \(ServerProgram.postgresFolder)
                    """
            )
        }
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

    /// The topmost folder on a program's path that a user may not enter; `nil` when they may enter all.
    ///
    /// The capability that lets a server pass to its data does not let it pass here: PostgreSQL's programs look for one
    /// another, and for themselves, by access(2), which counts permissions alone.
    static func closedFolder(above program: URL, to user: uid_t, of group: gid_t) -> String? {
        var folders: [String] = []
        var folder = program.resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/" {
            folders.append(folder.path)
            folder.deleteLastPathComponent()
        }
        return folders.last { folder in
            var status = stat()
            guard stat(folder, &status) == 0 else { return false }
            let bit = status.st_uid == user ? S_IXUSR : status.st_gid == group ? S_IXGRP : S_IXOTH
            return status.st_mode & bit == 0
        }
    }
}
