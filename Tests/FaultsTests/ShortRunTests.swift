import Testing

/// A short run of `holdfast-faults`, by a seed of chance.
@Suite(.timeLimit(.minutes(5)))
struct ShortRunTests {
    @Test func `a quarter of a minute of faults breaks no promise`() async throws {
        let (output, status) = try await FaultsProgram.run(["--minutes", "0.25"])
        print(output)
        #expect(status == 0)
        #expect(output.contains("checks passed"))
    }
}
