import Foundation
import Testing

@testable import EdgeKitExecuTorch

@Suite("What the ExecuTorch runner knows without the runtime") struct ExecuTorchTests {
    @Test("The version is that of the pinned branch") func version() throws {
        let manifest = URL(filePath: #filePath).appending(path: "../../../Package.swift").standardizedFileURL
        let version = try #require(ExecuTorchRuntime().version)
        let text = try String(contentsOf: manifest, encoding: .utf8)
        #expect(text.contains("let executorchBranch = \"swiftpm-\(version)\""))
    }

    @Test("Codes of the runtime have words", arguments: [
        (0x14, "operator is missing"), (0x20, "-all_load"), (0x22, "missing or unreadable"), (0x23, "truncated"), (0x31, "0x31"),
    ])
    func words(code: Int, words: String) {
        #expect(explained(NSError(domain: "ExecuTorchErrorDomain", code: code)).contains(words))
    }
}
