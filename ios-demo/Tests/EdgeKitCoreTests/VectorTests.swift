import Foundation
import Testing

@testable import EdgeKitCore

@Suite("The SDK's vectors") struct VectorTests {
    struct PictureCase: Decodable {
        struct Stored: Decodable {
            let file: String
            let width: Int
            let height: Int
            let channels: Int
            let orientation: Int
        }

        let name: String
        let picture: Stored
        let preprocessing: Preprocessing
        let expected: Expected
    }

    struct Expected: Decodable {
        let file: String
        let shape: [Int]
        let dtype: DType
    }

    @Test("Pictures become the same inputs, bit for bit") func preprocessing() throws {
        let cases: [PictureCase] = try Vectors.cases("preprocessing/cases.json")
        #expect(cases.count >= 100)
        for item in cases {
            let stored = item.picture
            let picture = try #require(Picture(
                width: stored.width, height: stored.height, channels: stored.channels,
                pixels: [UInt8](try Vectors.data("preprocessing/\(stored.file)")), orientation: stored.orientation))
            let tensor = preprocess(picture, item.preprocessing, name: "image")
            let expected = [UInt8](try Vectors.data("preprocessing/\(item.expected.file)"))
            #expect(tensor.shape == item.expected.shape, "\(item.name)")
            #expect(tensor.dtype == item.expected.dtype, "\(item.name)")
            // One unit in the last place is allowed; integers and single roundings give none.
            #expect(tensor.bytes == expected, "\(item.name)")
        }
    }

    @Test("A wrong step of preprocessing shows") func preprocessingTwin() throws {
        let cases: [PictureCase] = try Vectors.cases("preprocessing/cases.json")
        let item = try #require(cases.first { $0.name == "orientation 6" })
        let upright = try #require(Picture(
            width: item.picture.width, height: item.picture.height, channels: 3,
            pixels: [UInt8](try Vectors.data("preprocessing/\(item.picture.file)")), orientation: 1))
        let expected = [UInt8](try Vectors.data("preprocessing/\(item.expected.file)"))
        #expect(preprocess(upright, item.preprocessing, name: "image").bytes != expected)
    }

    struct SoundCase: Decodable {
        struct Stored: Decodable {
            let file: String
            let rate: Int
        }

        let name: String
        let samples: Stored
        let audio: Audio
        let expected: Values
    }

    private func heard(_ item: SoundCase, _ audio: Audio) throws -> Tensor {
        let shape = (["\"batch\""] + item.expected.shape.map { "\($0)" }).joined(separator: ",")
        let text = #"{"name": "sound", "dtype": "float32", "meaning": "tensor", "shape": [\#(shape)]}"#
        let input = try JSONDecoder().decode(TensorSpec.self, from: Data(text.utf8))
        let samples = try Vectors.floats("sounds/\(item.samples.file)")
        return EdgeKitCore.heard(samples, rate: item.samples.rate, audio, input: input)
    }

    private func farthest(_ found: Tensor, _ item: SoundCase) throws -> Double {
        let expected = try Vectors.floats("sounds/\(item.expected.file)").map(Double.init)
        #expect(found.shape == [1] + item.expected.shape, "\(item.name)")
        let largest = expected.map(abs).reduce(1, max)
        return zip(found.doubles(), expected).map { abs($0 - $1) }.reduce(0, max) / largest
    }

    @Test("Sounds become the same inputs, to 1e-6 of the largest number") func sounds() throws {
        let cases: [SoundCase] = try Vectors.cases("sounds/cases.json")
        #expect(cases.count >= 12)
        for item in cases {
            let far = try farthest(heard(item, item.audio), item)
            #expect(far <= 1e-6, "\(item.name): \(far)")
        }
    }

    @Test("A sound becomes the input of a bundle's model, and of no other") func soundOfManifest() throws {
        func manifest(_ name: String) throws -> Manifest { try Manifest.parse(Vectors.data("manifests/valid/\(name).json")) }
        #expect(try manifest("sound").heard([Float](repeating: 0, count: 44100), rate: 44100).shape == [1, 1, 80, 25])
        #expect(try manifest("text").text?.inputs["mask"] == .mask)
        for name in ["classifier", "text"] {
            #expect { try manifest(name).heard([0], rate: 8000) } throws: { ($0 as? Failure)?.code == .noSoundInput }
        }
    }

    @Test("A wrong step for sounds shows") func soundsTwin() throws {
        let cases: [SoundCase] = try Vectors.cases("sounds/cases.json")
        let item = try #require(cases.first { $0.name.hasPrefix("whisper") })
        var steps = try #require(item.audio.features)
        steps.power = 1
        let wrong = Audio(rate: item.audio.rate, length: item.audio.length, features: steps)
        #expect(try farthest(heard(item, wrong), item) > 0.01)
    }

    struct MetricsCase: Decodable {
        let name: String
        let logits: Bool
        let reference: Values
        let candidate: Values
        let labels: [Int64]?
        let expected: [String: Double?]
    }

    @Test("Metrics are the SDK's") func metrics() throws {
        let cases: [MetricsCase] = try Vectors.cases("metrics/cases.json")
        for item in cases {
            let found = Metrics.measure(
                reference: try Vectors.floats("metrics/\(item.reference.file)").map(Double.init),
                candidate: try Vectors.floats("metrics/\(item.candidate.file)").map(Double.init),
                shape: item.reference.shape, logits: item.logits, labels: item.labels)
            #expect(found.named.count == item.expected.count)
            for (name, value) in found.named {
                let wanted = try #require(item.expected[name], "\(item.name): \(name)")
                #expect(isClose(value, wanted), "\(item.name): \(name) is \(String(describing: value)), not \(String(describing: wanted))")
            }
        }
    }

    private func isClose(_ found: Double?, _ wanted: Double?) -> Bool {
        guard let found, let wanted else { return found == nil && wanted == nil }
        return abs(found - wanted) <= 1e-9 * max(abs(wanted), 1e-6)
    }

    struct ClassesCase: Decodable {
        struct Pair: Decodable {
            let label: String
            let probability: Double

            init(from decoder: any Decoder) throws {
                var container = try decoder.unkeyedContainer()
                label = try container.decode(String.self)
                probability = try container.decode(Double.self)
            }
        }

        let name: String
        let logits: [Double]
        let labels: [String]
        let expected: [Pair]
    }

    @Test("Classes are those that a person sees with edgekit run") func ranked() throws {
        let cases: [ClassesCase] = try Vectors.cases("classes/cases.json")
        for item in cases {
            let found = classes(item.logits, labels: item.labels)
            #expect(found.map(\.label) == item.expected.map(\.label), "\(item.name)")
            for (ours, theirs) in zip(found, item.expected) {
                #expect(isClose(ours.probability, theirs.probability), "\(item.name)")
            }
        }
    }

    struct LimitsCase: Decodable {
        struct Expected: Decodable, Equatable {
            let limit: String
            let metric: String
            let value: Double?
            let result: String
        }

        let name: String
        let limits: Limits
        let device: [String: Double?]
        let host: [String: Double?]
        let expected: [Expected]
    }

    @Test("Limits are judged as the SDK judges them") func limits() throws {
        let cases: [LimitsCase] = try Vectors.cases("limits/cases.json")
        for item in cases {
            let found = item.limits.judge(device: metrics(item.device), host: metrics(item.host))
            #expect(found.map(\.limit) == item.expected.map(\.limit), "\(item.name)")
            for (ours, theirs) in zip(found, item.expected) {
                #expect(ours.metric == theirs.metric && ours.result.rawValue == theirs.result, "\(item.name): \(ours)")
                #expect(isClose(ours.value, theirs.value), "\(item.name): \(ours)")
            }
        }
    }

    private func metrics(_ values: [String: Double?]) -> Metrics {
        var metrics = Metrics()
        metrics.sqnrDB = values["sqnr_db"] ?? nil
        metrics.maxAbsError = (values["max_abs_error"] ?? nil)!
        metrics.meanAbsError = (values["mean_abs_error"] ?? nil)!
        metrics.cosine = (values["cosine"] ?? nil)!
        metrics.top1Agreement = values["top1_agreement"] ?? nil
        metrics.top5Agreement = values["top5_agreement"] ?? nil
        metrics.klDivergence = values["kl_divergence"] ?? nil
        metrics.accuracy = values["accuracy"] ?? nil
        metrics.referenceAccuracy = values["reference_accuracy"] ?? nil
        return metrics
    }

    @Test("Manifests of real builds are read") func validManifests() throws {
        for name in try Vectors.names("manifests/valid") {
            let manifest = try Manifest.parse(try Vectors.data("manifests/valid/\(name)"))
            #expect(!manifest.artifacts.isEmpty && !manifest.outputs.isEmpty && !manifest.files.isEmpty, "\(name)")
        }
    }

    @Test("Manifests that break the contract are refused, each with its own code and its place") func invalidManifests() throws {
        let codes = try JSONDecoder().decode([String: String].self, from: Vectors.data("manifests/invalid.json"))
        let names = try Vectors.names("manifests/invalid")
        #expect(codes.keys.sorted() == names)
        for (name, code) in codes {
            let data = try Vectors.data("manifests/invalid/\(name)")
            do {
                _ = try Manifest.parse(data)
                Issue.record("\(name) was read")
            } catch let failure as Failure {
                #expect(failure.code.rawValue == code, "\(name): \(failure)")
                #expect(!failure.description.contains("{"), "\(name): \(failure)")
            }
        }
    }

    struct Words: Decodable {
        let says: String
        let `do`: String
    }

    @Test("Every failure has the words that both apps share") func words() throws {
        let words = try JSONDecoder().decode([String: Words].self, from: Vectors.data("words.json"))
        #expect(Set(words.keys) == Set(Failure.Code.allCases.map(\.rawValue)))
        for code in Failure.Code.allCases {
            #expect(words[code.rawValue]?.says == code.words.says)
            #expect(words[code.rawValue]?.do == code.words.action)
        }
    }
}
