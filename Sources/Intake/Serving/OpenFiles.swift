import Foundation

/// How many files and connections this process may have open.
package enum OpenFiles {
    /// Why there cannot be so many.
    package struct TooFew: Error, CustomStringConvertible {
        let limit: UInt64
        let connections: Int

        package var description: String {
            "this process may open \(limit) files, and \(connections) connections need "
                + "\(OpenFiles.needed(for: connections)); raise the limit (ulimit -n), or lower --max-connections"
        }
    }

    /// For so many connections, and for logs, the database, nodes and those that are being refused.
    private static func needed(for connections: Int) -> Int { connections + 256 }

    /// Raises the limit as far as is needed and allowed.
    ///
    /// A server that runs into it cannot accept, nor tell anyone.
    /// - Throws: ``TooFew`` when the system allows no more.
    package static func provide(for connections: Int) throws(TooFew) {
        var limit = rlimit()
        getrlimit(RLIMIT_NOFILE_RESOURCE, &limit)
        let needed = rlim_t(needed(for: connections))
        guard limit.rlim_cur < needed else { return }
        guard limit.rlim_max >= needed else { throw TooFew(limit: UInt64(limit.rlim_max), connections: connections) }
        limit.rlim_cur = needed
        guard setrlimit(RLIMIT_NOFILE_RESOURCE, &limit) == 0 else {
            throw TooFew(limit: UInt64(limit.rlim_max), connections: connections)
        }
    }

    #if canImport(Glibc)
        private static let RLIMIT_NOFILE_RESOURCE = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        private static let RLIMIT_NOFILE_RESOURCE = RLIMIT_NOFILE
    #endif
}
