import CLibPQ
import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Owns a `PGconn`, and takes its NOTICEs.
///
/// Unchecked: the connection's actor alone reaches the pointer, and the last release comes after its last job.
final class ConnectionHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    /// The process that serves it.
    let backendID: Int32
    private let notices: NoticeLog

    /// Opens a connection, which blocks for up to `connect_timeout` for each host.
    init(_ configuration: PostgresConfiguration, logger: Logger) throws(PostgresError) {
        let names = configuration.keywords.map { strdup($0.0) }
        let values = configuration.keywords.map { strdup($0.1) }
        defer { for string in names + values { free(string) } }
        let keywords = names.map { UnsafePointer($0) } + [nil]
        guard let pointer = PQconnectdbParams(keywords, values.map { UnsafePointer($0) } + [nil], 1) else {
            throw PostgresError(.connectionFailed, "out of memory")
        }
        if PQstatus(pointer) != CONNECTION_OK, Self.isOfServer(PQerrorMessage(pointer)) {
            // A server has refused: asked once more, it says by a code why, in whatever language it speaks.
            PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
            PQreset(pointer)
            PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
        }
        self.pointer = pointer
        backendID = PQbackendPID(pointer)
        notices = NoticeLog(logger: logger)
        guard PQstatus(pointer) == CONNECTION_OK else {
            throw PostgresError(connectionRefused: errorMessage)
        }
        let encoding = PQparameterStatus(pointer, "server_encoding").map { String(cString: $0) } ?? "UTF8"
        guard encoding == "UTF8" else {
            throw PostgresError(
                .badConfiguration,
                """
                the database's encoding is \(encoding), and must be UTF8: make another one with \
                createdb --encoding UTF8 --template template0
                """
            )
        }
        guard PQsetnonblocking(pointer, 1) == 0 else {
            throw PostgresError(.connectionFailed, errorMessage)
        }
        let log = Unmanaged.passUnretained(notices).toOpaque()
        PQsetNoticeReceiver(
            pointer,
            { log, notice in
                guard let log, let notice else { return }
                Unmanaged<NoticeLog>.fromOpaque(log).takeUnretainedValue().received(notice)
            },
            log
        )
    }

    deinit { PQfinish(pointer) }

    /// Whether an error has come from a server: those of libpq have no such gap.
    private static func isOfServer(_ message: UnsafeMutablePointer<CChar>?) -> Bool {
        message.map { String(cString: $0).contains(":  ") } ?? false
    }

    /// Its socket; −1 once libpq has closed it.
    var descriptor: Int32 { PQsocket(pointer) }

    /// Whether there is something to read, or the other end is closed.
    ///
    /// Others than the actor may ask only while the connection is idle.
    var hasInput: Bool {
        var socket = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&socket, 1, 0) != 0
    }

    /// Whether it is in no transaction and running nothing.
    var isIdle: Bool { PQtransactionStatus(pointer) == PQTRANS_IDLE }

    /// Whether a statement or COPY has not ended.
    var isActive: Bool { PQtransactionStatus(pointer) == PQTRANS_ACTIVE }

    /// How many warnings the server has given.
    var warnings: Int { notices.warnings.load(ordering: .relaxed) }

    /// What libpq says of the last failure, without its hints, which are indented.
    var errorMessage: String {
        let lines = String(cString: PQerrorMessage(pointer)).split { $0.isNewline }.filter { !$0.hasPrefix("\t") }
        return lines.joined(separator: "; ")
    }
}

extension PostgresError {
    /// The error of a connection that was not opened, of what libpq says of each host: its SQLSTATE is that of the last
    /// host that gave one, unless another host failed in a way that may pass.
    package init(connectionRefused text: String) {
        var states: [String?] = []
        let parts = text.split(separator: "; ").filter { !$0.hasPrefix("LOCATION:") }.map { part in
            guard let match = part.firstMatch(of: #/([A-Z]+:)  ([0-9A-Z]{5}): /#) else {
                if part.contains(" failed: ") { states.append(nil) }
                return String(part)
            }
            states.append(String(match.2))
            return part[..<match.range.lowerBound] + "\(match.1)  " + part[match.range.upperBound...]
        }
        let message = parts.joined(separator: "; ")
        let errors = states.map { PostgresError(.connectionFailed, message, sqlState: $0) }
        self = errors.last { !$0.asksForChange } ?? errors.last ?? PostgresError(.connectionFailed, message)
    }
}

/// Puts the server's notices where the log is.
private final class NoticeLog: Sendable {
    let warnings = Atomic<Int>(0)
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func received(_ notice: OpaquePointer) {
        // Spelt so in any language of the server's.
        let severity = PQresultErrorField(notice, Int32(UInt8(ascii: "V"))).map { String(cString: $0) }
        if severity == "WARNING" { warnings.add(1, ordering: .relaxed) }
        let text = String(cString: PQresultErrorMessage(notice))
        logger.debug("Notice from PostgreSQL", metadata: ["db.notice": "\(text.inOneLine)"])
    }
}
