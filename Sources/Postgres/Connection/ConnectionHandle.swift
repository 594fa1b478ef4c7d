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
        self.pointer = pointer
        backendID = PQbackendPID(pointer)
        notices = NoticeLog(logger: logger)
        guard PQstatus(pointer) == CONNECTION_OK else {
            throw PostgresError(.connectionFailed, errorMessage)
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
