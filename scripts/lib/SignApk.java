import com.android.apksig.ApkSigner;
import com.android.apksig.ApkVerifier;
import java.io.File;
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/** Signs an APK with the key of a keystore, and verifies what came out: SignApk IN OUT KEYSTORE PASSWORD ALIAS. */
public class SignApk {
    public static void main(String[] arguments) throws Exception {
        File in = new File(arguments[0]);
        File out = new File(arguments[1]);
        char[] password = arguments[3].toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (FileInputStream stream = new FileInputStream(arguments[2])) {
            store.load(stream, password);
        }
        PrivateKey key = (PrivateKey) store.getKey(arguments[4], password);
        X509Certificate certificate = (X509Certificate) store.getCertificate(arguments[4]);
        @SuppressWarnings("deprecation") // its successor takes the same key in more words
        ApkSigner.SignerConfig signer = new ApkSigner.SignerConfig.Builder(arguments[4], key, List.of(certificate)).build();
        new ApkSigner.Builder(List.of(signer)).setInputApk(in).setOutputApk(out).build().sign();
        ApkVerifier.Result result = new ApkVerifier.Builder(out).build().verify();
        if (!result.isVerified()) {
            System.err.println("error: the signature does not verify: " + result.getErrors());
            System.exit(1);
        }
        System.out.println("signature verified: v1 " + result.isVerifiedUsingV1Scheme() + ", v2 "
            + result.isVerifiedUsingV2Scheme() + ", v3 " + result.isVerifiedUsingV3Scheme());
    }
}
