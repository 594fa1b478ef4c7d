import CLibPQ

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension PostgresConnection {
    // Returns whether there is something to read, as opposed to room for writing.
    private func waitForSocket(writing: Bool, _ step: Step) throws(PostgresError) -> Bool {
        while true {
            let milliseconds: Int32
            switch step.wait(at: .now, request: canceller.request) {
            case .wait(let length): milliseconds = length
            case .cancel:
                canceller.cancel(step.number, for: .deadline)
                continue
            case .giveUp(let reason):
                giveUp()
                throw step.error(for: reason)
            }
            let events = Int16(POLLIN) | (writing ? Int16(POLLOUT) : 0)
            var socket = pollfd(fd: handle.descriptor, events: events, revents: 0)
            // An error or a hang-up counts as readable: reading tells what it is.
            if poll(&socket, 1, milliseconds) > 0 { return socket.revents & ~Int16(POLLOUT) != 0 }
        }
    }

    /// Sends all that libpq holds back.
    func flush(_ step: Step) throws(PostgresError) {
        while true {
            switch PQflush(handle.pointer) {
            case 0: return
            case 1:
                // A server that waits for us to read would never take the rest.
                if try waitForSocket(writing: true, step) { try consume(step) }
            default: throw lost(step)
            }
        }
    }

    // When the server hangs up after a refusal, the refusal says why.
    private func nextResult(_ step: Step, after refusal: PostgresError?) throws(PostgresError) -> ResultHandle? {
        do {
            return try nextResult(step)
        } catch {
            guard var refusal else { throw error }
            refusal.code = error.code
            throw refusal
        }
    }

    /// Waits for a result.
    ///
    /// - Returns: `nil` when the statement has no more.
    func nextResult(_ step: Step) throws(PostgresError) -> ResultHandle? {
        while PQisBusy(handle.pointer) != 0 {
            _ = try waitForSocket(writing: false, step)
            try consume(step)
        }
        return PQgetResult(handle.pointer).map(ResultHandle.init)
    }

    /// Waits for more of what the server sends.
    func waitForInput(_ step: Step) throws(PostgresError) {
        _ = try waitForSocket(writing: false, step)
        try consume(step)
    }

    private func consume(_ step: Step) throws(PostgresError) {
        guard PQconsumeInput(handle.pointer) == 1 else { throw lost(step) }
    }

    /// Waits for the end of a statement.
    ///
    /// - Returns: Its last result; when it went wrong, the first that says so.
    func collect(_ step: Step) throws(PostgresError) -> ResultHandle {
        var last: ResultHandle?
        var refusal: PostgresError?
        while let result = try nextResult(step, after: refusal) {
            switch result.status {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: last = result
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                giveUp()
                throw step.error(.encoding, "COPY needs copyIn or copyOut")
            default: refusal = refusal ?? error(of: result, step)
            }
        }
        if let refusal { throw refusal }
        guard let last else { throw lost(step) }
        return last
    }

    /// What a failed result says, and what follows from it for the connection.
    func error(of result: ResultHandle, _ step: Step) -> PostgresError {
        if PQstatus(handle.pointer) == CONNECTION_BAD { giveUp() }
        var error = result.error(statement: step.statement)
        if isBroken {
            error.code = .connectionLost
        } else if error.sqlState == "57014", let request = canceller.request {
            error = step.error(for: request.reason)
        } else if error.isOfOutdatedStatement {
            retire()
        }
        return error
    }

    /// The error of a connection that libpq cannot go on with.
    func lost(_ step: Step) -> PostgresError {
        giveUp()
        return step.error(.connectionLost, handle.errorMessage)
    }
}

extension PostgresError {
    /// Whether a prepared statement is gone, or its result has another shape than when it was prepared.
    fileprivate var isOfOutdatedStatement: Bool {
        switch sqlState {
        case "26000", "42P05", "0A000": true
        default: false
        }
    }
}
