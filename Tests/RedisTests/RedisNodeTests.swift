import Logging
import Redis
import Testing

/// A node against a server that the test plays.
@Suite(.timeLimit(.minutes(1)))
struct RedisNodeTests {
    @Test
    func `a late reply goes to nobody, and the next command gets its own`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, _ in
            let client = try await server.accept()
            try await client.greet()
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("LATE"), within: brief) }
                    == .deadline
            )
            #expect(await client.next() == "LATE")
            async let next = node.send(RedisCommand("NEXT"), within: ample)
            #expect(await client.next() == "NEXT")
            try await client.send("+late\r\n+next\r\n")
            #expect(try await next == .simple("next"))
        }
    }

    @Test
    func `a cancelled caller is resumed at once, and its reply goes to nobody`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, _ in
            let client = try await server.accept()
            try await client.greet()
            try await withThrowingTaskGroup(of: RedisError.Code?.self) { group in
                group.addTask {
                    await code { () throws(RedisError) in
                        try await node.send([RedisCommand("A"), RedisCommand("B")], within: ample)
                    }
                }
                #expect(await client.next() == "A")
                #expect(await client.next() == "B")
                try await client.send("+a\r\n")
                group.cancelAll()
                // Its second reply has not come, and never comes before it is resumed.
                #expect(try await group.next() == .cancelled)
            }
            async let next = node.send(RedisCommand("NEXT"), within: ample)
            #expect(await client.next() == "NEXT")
            try await client.send("+b\r\n+next\r\n")
            #expect(try await next == .simple("next"))
        }
    }

    @Test
    func `what a cancelled task sends is not sent`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, _ in
            let client = try await server.accept()
            try await client.greet()
            await withTaskGroup(of: RedisError.Code?.self) { group in
                group.cancelAll()
                group.addTask {
                    await code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
                }
                #expect(await group.next() == .cancelled)
            }
            async let next = node.send(RedisCommand("NEXT"), within: ample)
            #expect(await client.next() == "NEXT")
            try await client.send("+next\r\n")
            #expect(try await next == .simple("next"))
        }
    }

    @Test
    func `a connection that is reset in mid-reply fails what waits on it, and is made again`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, states in
            let client = try await server.accept()
            try await client.greet(runID: "run-1")
            guard case .connected(let info)? = await states.next() else {
                Issue.record("not connected")
                return
            }
            #expect(info?.runID == "run-1")
            async let first = code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
            #expect(await client.next() == "A")
            async let second = code { () throws(RedisError) in try await node.send(RedisCommand("B"), within: ample) }
            #expect(await client.next() == "B")
            try await client.send("$10\r\nhal")
            try await client.reset()
            #expect(await first == .connectionLost)
            #expect(await second == .connectionLost)
            guard case .lost(let error)? = await states.next() else {
                Issue.record("not lost")
                return
            }
            #expect(error.code == .connectionLost)
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("C"), within: ample) }
                    == .notConnected
            )
            #expect(node.serverInfo == nil)

            let again = try await server.accept()
            try await again.greet(runID: "run-2")
            guard case .connected(let newInfo)? = await states.next() else {
                Issue.record("not connected again")
                return
            }
            #expect(newInfo?.runID == "run-2")
            async let third = node.send(RedisCommand("D"), within: ample)
            // Neither A nor B nor C is sent again.
            #expect(await again.next() == "D")
            try await again.send("+d\r\n")
            #expect(try await third == .simple("d"))
            #expect(node.serverInfo?.runID == "run-2")
        }
    }

    @Test(arguments: ["?what\r\n", "$-7\r\n", ":1\r\n:2\r\n"])
    func `a malformed or unasked reply closes the connection`(bytes: String) async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, states in
            let client = try await server.accept()
            try await client.greet()
            _ = await states.next()
            async let answer = code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
            #expect(await client.next() == "A")
            try await client.send(bytes)
            guard case .lost(let error)? = await states.next() else {
                Issue.record("not lost")
                return
            }
            #expect(error.code == .protocolViolation)
            #expect(await answer == (bytes.first == ":" ? nil : .connectionLost))
            #expect(await client.next() == nil)
        }
    }

    @Test
    func `what comes unasked as a push is passed over`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, _ in
            let client = try await server.accept()
            try await client.greet()
            async let answer = node.send(RedisCommand("A"), within: ample)
            #expect(await client.next() == "A")
            try await client.send(">1\r\n+news\r\n+a\r\n>1\r\n+news\r\n")
            #expect(try await answer == .simple("a"))
        }
    }

    @Test
    func `a server that accepts and never answers is given up, and tried again`() async throws {
        let server = try await ScriptedServer()
        var configuration = RedisNodeConfiguration.patient
        configuration.connectTimeout = .milliseconds(50)
        try await withNode(server.url, configuration: configuration) { node, states in
            let client = try await server.accept()
            // It waits for the first attempt, and fails with it.
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
                    == .notConnected
            )
            guard case .lost? = await states.next() else {
                Issue.record("not lost")
                return
            }
            // The handshake, nothing after it, and the connection is closed.
            for await command in client.commands { #expect(command == "HELLO 3") }
            _ = try await server.accept()
        }
    }

    @Test
    func `what waited for an attempt that failed is not sent by a later one`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, states in
            let client = try await server.accept()
            #expect(await client.next() == "HELLO 3")
            let old = await code { () throws(RedisError) in try await node.send(RedisCommand("OLD"), within: brief) }
            #expect(old == .deadline)
            try await client.reset()
            guard case .lost? = await states.next() else {
                Issue.record("not lost")
                return
            }
            let again = try await server.accept()
            try await again.greet()
            guard case .connected? = await states.next() else {
                Issue.record("not connected")
                return
            }
            async let next = node.send(RedisCommand("NEXT"), within: ample)
            #expect(await again.next() == "NEXT")
            try await again.send("+next\r\n")
            #expect(try await next == .simple("next"))
        }
    }

    @Test
    func `a deadline holds while the first attempt is under way`() async throws {
        let server = try await ScriptedServer()
        try await withNode(server.url) { node, _ in
            let client = try await server.accept()
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: brief) }
                    == .deadline
            )
            async let next = node.send(RedisCommand("NEXT"), within: ample)
            try await client.greet()
            #expect(await client.next() == "A")
            #expect(await client.next() == "NEXT")
            try await client.send("+a\r\n+next\r\n")
            #expect(try await next == .simple("next"))
        }
    }

    @Test
    func `a connection on which nothing comes though replies are owed is closed`() async throws {
        let server = try await ScriptedServer()
        var configuration = RedisNodeConfiguration.patient
        configuration.silenceLimit = .milliseconds(50)
        try await withNode(server.url, configuration: configuration) { node, states in
            let client = try await server.accept()
            try await client.greet()
            _ = await states.next()
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
                    == .connectionLost
            )
            guard case .lost(let error)? = await states.next() else {
                Issue.record("not lost")
                return
            }
            #expect(error.code == .connectionLost)
            #expect(error.message.contains("nothing came"))
        }
    }

    @Test
    func `a server that does not know HELLO is spoken to in RESP2`() async throws {
        let server = try await ScriptedServer()
        let url = server.url.replacing("redis://", with: "redis://ann:secret@") + "/4"
        try await withNode(url) { node, _ in
            let client = try await server.accept()
            #expect(await client.next() == "HELLO 3 AUTH ann secret")
            try await client.send(
                "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `secret`\r\n"
            )
            #expect(await client.next() == "AUTH ann secret")
            try await client.send("+OK\r\n")
            #expect(await client.next() == "SELECT 4")
            try await client.send("+OK\r\n")
            #expect(await client.next() == "CLIENT SETNAME holdfast")
            try await client.send("-NOPERM no\r\n")
            #expect(await client.next() == "INFO")
            try await client.send("-NOPERM no\r\n")
            async let answer = node.send(RedisCommand("GET", "k"), within: ample)
            #expect(await client.next() == "GET k")
            try await client.send("$-1\r\n")
            #expect(try await answer == .null)
            #expect(node.isConnected)
            #expect(node.serverInfo == nil)
        }
    }

    @Test
    func `what is more than may wait is turned away`() async throws {
        let server = try await ScriptedServer()
        var configuration = RedisNodeConfiguration.patient
        configuration.maximumCommands = 3
        configuration.maximumBytes = 1000
        try await withNode(server.url, configuration: configuration) { node, _ in
            let client = try await server.accept()
            try await client.greet()
            let many = Array(repeating: RedisCommand("A"), count: 4)
            #expect(await code { () throws(RedisError) in try await node.send(many, within: ample) } == .overloaded)
            let long = RedisCommand("A", String(repeating: "x", count: 1000))
            #expect(await code { () throws(RedisError) in try await node.send(long, within: ample) } == .overloaded)
            // Those given up are owed a reply, too, and count.
            #expect(
                await code { () throws(RedisError) in try await node.send(Array(many[..<2]), within: brief) }
                    == .deadline
            )
            #expect(
                await code { () throws(RedisError) in try await node.send(Array(many[..<2]), within: ample) }
                    == .overloaded
            )
            for _ in 0..<2 { #expect(await client.next() == "A") }
            async let answer = node.send(RedisCommand("B"), within: ample)
            #expect(await client.next() == "B")
            try await client.send("+a\r\n+a\r\n+b\r\n")
            #expect(try await answer == .simple("b"))
        }
    }

    @Test
    func `a node that is shut down fails what waits and closes its connection`() async throws {
        let server = try await ScriptedServer()
        let node = RedisNode(try RedisEndpoint(server.url), configuration: .patient, logger: .init(label: "redis"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await node.run() }
            let client = try await server.accept()
            try await client.greet()
            async let answer = code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: ample) }
            #expect(await client.next() == "A")
            group.cancelAll()
            try await group.waitForAll()
            #expect(await answer == .connectionLost)
            #expect(await client.next() == nil)
        }
        #expect(!node.isConnected)
        #expect(
            await code { () throws(RedisError) in try await node.send(RedisCommand("B"), within: ample) }
                == .notConnected
        )
    }

    @Test
    func `without commands or without time nothing is sent`() async throws {
        let node = RedisNode(try RedisEndpoint("redis://localhost"), logger: .init(label: "redis"))
        #expect(try await node.send([], within: ample) == [])
        #expect(
            await code { () throws(RedisError) in try await node.send(RedisCommand("A"), within: .zero) } == .deadline
        )
    }
}
