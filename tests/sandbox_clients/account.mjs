// A random wallet, seen from its private side: prints its account key and its first addresses, for the hub's to be compared with.
import { HDNodeWallet, Mnemonic, randomBytes } from "ethers";
import { TronWeb } from "tronweb";

const ADDRESSES = 51;
const ACCOUNT = "m/44'/195'/0'";

const { phrase } = Mnemonic.fromEntropy(randomBytes(16));
const account = HDNodeWallet.fromPhrase(phrase, "", ACCOUNT);
const addresses = Array.from(
  { length: ADDRESSES },
  (_, i) => TronWeb.fromMnemonic(phrase, `${ACCOUNT}/0/${i}`).address,
);
console.log(JSON.stringify({ xpub: account.neuter().extendedKey, addresses }));
