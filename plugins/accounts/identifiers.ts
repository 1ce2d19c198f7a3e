/** Everything a name is made of: IdentifierClass of RFC 8264 beyond ASCII, and the separators of ASCII. */
const MADE_OF = /^[\p{Ll}\p{Lu}\p{Lo}\p{Lm}\p{Nd}\p{Mn}\p{Mc}\u06fd\u06fe\u0f0b\u3007\u00b7\u0375\u05f3\u05f4\u30fb._+-]+$/u

/** Taken out of the class again: characters that show nothing, the exceptions of RFC 5892, old Hangul jamo. */
const NEVER = /[\u2d7f\u{1107f}\u{16fe4}\u{1bc9d}\u302e\u302f\p{DI}\u0640\u07fa\u3031-\u3035\u303b\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]/u

/** RFC 5892, appendix A: characters that are letters only beside others. (Joiners, of A.1 and A.2, are not taken at all.) */
const OUT_OF_CONTEXT = [
  /^\p{M}/u, // a mark on nothing
  /(?<!l)\u00b7|\u00b7(?!l)/u, // A.3, the Catalan middle dot
  /\u0375(?!\p{Script=Greek})/u, // A.4
  /(?<!\p{Script=Hebrew})[\u05f3\u05f4]/u, // A.5, A.6
  /^(?!.*[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]).*\u30fb/u, // A.7
  /[\u0660-\u0669].*[\u06f0-\u06f9]|[\u06f0-\u06f9].*[\u0660-\u0669]/u // A.8, A.9
]

/** UTS 39, section 5.4: more than four marks on a letter, or one of them twice. */
const PILED_MARKS = /\p{Mn}{5}|(\p{Mn})\1/u

/** The ranges that Unicode keeps for scripts from right to left: what is R, AL or AN to the Bidi rule. */
const RIGHT_TO_LEFT = /[[\p{L}\p{N}]&&[\u0590-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]]/v

const ARABIC_DIGIT = /[\u0660-\u0669\u{10d30}-\u{10d39}]/u
const EUROPEAN_DIGIT = /[0-9\u06f0-\u06f9]/u
const MARK = /\p{Mn}/u
const SEPARATOR = /[._+-]/
const NEUTRAL = /[\p{Mn}0-9\u06f0-\u06f9._+-]/u

/**
 * True for text of letters and digits of any script and `._+-`, in lower case: nothing that is invisible, that only looks
 * like something else by its compatibility form, or that changes the order of what stands beside it (RFC 8264, RFC 5893).
 */
export function isIdentifier (text: string): boolean {
  return MADE_OF.test(text) &&
    !NEVER.test(text) &&
    text.normalize('NFKC') === text &&
    !OUT_OF_CONTEXT.some((context) => context.test(text)) &&
    !PILED_MARKS.test(text.normalize('NFD')) &&
    keepsOrder(text)
}

/** The Bidi rule of RFC 5893, section 2, for a name that has something from right to left in it. */
function keepsOrder (text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return true
  const characters = [...text]
  const last = characters.findLast((character) => !MARK.test(character))! // it has a letter or a digit
  return isRightToLeftLetter(characters[0]!) &&
    characters.every((character) => RIGHT_TO_LEFT.test(character) || NEUTRAL.test(character)) &&
    !SEPARATOR.test(last) &&
    !(EUROPEAN_DIGIT.test(text) && ARABIC_DIGIT.test(text))
}

function isRightToLeftLetter (character: string): boolean {
  return RIGHT_TO_LEFT.test(character) && !ARABIC_DIGIT.test(character)
}
