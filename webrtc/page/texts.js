// All that the page says, in the languages that it speaks. {name} stands for a value.

const texts = {
  notStarted: { en: "Not started.", de: "Noch nicht gestartet.", ja: "まだ開始していません。" },
  consentTitle: { en: "See what a face and a voice show", de: "Sehen, was Gesicht und Stimme zeigen", ja: "顔と声に表れるものを見る" },
  what: {
    en: "This page sends your camera and microphone to {host}. Several times a second, a program there says which emotion your face and voice show.",
    de: "Diese Seite sendet Kamera und Mikrofon an {host}. Ein Programm dort sagt mehrmals in der Sekunde, welche Emotion Gesicht und Stimme zeigen.",
    ja: "このページはカメラとマイクの内容を {host} に送信します。サーバー上のプログラムが、顔と声に表れた感情を1秒に数回判定します。",
  },
  whatGender: {
    en: "This page sends your camera and microphone to {host}. Several times a second, a program there says which emotion your face and voice show, and which gender you appear to present.",
    de: "Diese Seite sendet Kamera und Mikrofon an {host}. Ein Programm dort sagt mehrmals in der Sekunde, welche Emotion Gesicht und Stimme zeigen und welches Geschlecht Sie darzustellen scheinen.",
    ja: "このページはカメラとマイクの内容を {host} に送信します。サーバー上のプログラムが、顔と声に表れた感情と、見かけ上の性別を1秒に数回判定します。",
  },
  consentLabels: {
    en: "It tells what is shown, as people in the training data acted it: not what you feel or who you are. It is often wrong.",
    de: "Gesagt wird, was gezeigt wird, so wie Menschen in den Trainingsdaten es gespielt haben: nicht, was Sie fühlen oder wer Sie sind. Es ist oft falsch.",
    ja: "判定されるのは、学習データの人々が演じた表情や声に照らした「表れ」です。あなたの気持ちや人となりではなく、間違うこともよくあります。",
  },
  consentStored: {
    en: "No picture and no sound is stored. Results stay on the server until {minutes} minutes after the end, or until you delete them.",
    de: "Kein Bild und kein Ton wird gespeichert. Die Ergebnisse bleiben auf dem Server bis {minutes} Minuten nach dem Ende, oder bis Sie sie löschen.",
    ja: "映像と音声は保存されません。結果は終了後 {minutes} 分間、または削除するまでサーバーに残ります。",
  },
  consentStop: {
    en: "You can stop at any time. Closing the page ends and deletes everything.",
    de: "Sie können jederzeit anhalten. Wer die Seite schließt, beendet und löscht alles.",
    ja: "いつでも停止できます。ページを閉じると、すべて終了し削除されます。",
  },
  token: { en: "Token of this server", de: "Token dieses Servers", ja: "このサーバーのトークン" },
  agree: {
    en: "I agree that my camera and microphone are analysed this way.",
    de: "Ich bin einverstanden, dass Kamera und Mikrofon so ausgewertet werden.",
    ja: "カメラとマイクがこのように解析されることに同意します。",
  },
  start: { en: "Start with camera", de: "Mit Kamera starten", ja: "カメラで開始" },
  retry: { en: "Try again", de: "Noch einmal versuchen", ja: "もう一度試す" },
  demoTitle: { en: "Without a camera", de: "Ohne Kamera", ja: "カメラなしで" },
  demoText: {
    en: "Try it with a drawn face that speaks, or drop a video file here. A file is sent like a camera's picture, and not stored either.",
    de: "Probieren Sie es mit einem gezeichneten Gesicht, das spricht, oder legen Sie eine Videodatei hier ab. Sie wird gesendet wie das Bild einer Kamera und ebenso wenig gespeichert.",
    ja: "話す顔のイラストで試すか、動画ファイルをここにドロップしてください。ファイルはカメラ映像と同じように送信され、保存されません。",
  },
  pattern: { en: "Test pattern", de: "Testbild", ja: "テストパターン" },
  file: { en: "Choose a file…", de: "Datei wählen…", ja: "ファイルを選ぶ…" },
  viewLabel: { en: "What is sent", de: "Was gesendet wird", ja: "送信中の映像" },
  noPicture: { en: "Sound alone: there is no picture.", de: "Nur Ton: es gibt kein Bild.", ja: "音声のみです。映像はありません。" },
  stop: { en: "Stop", de: "Anhalten", ja: "停止" },
  erase: { en: "Stop and delete", de: "Anhalten und löschen", ja: "停止して削除" },
  eraseResults: { en: "Delete the results", de: "Ergebnisse löschen", ja: "結果を削除" },
  pauseCamera: { en: "Pause camera", de: "Kamera aus", ja: "カメラを一時停止" },
  muteMic: { en: "Mute microphone", de: "Mikrofon aus", ja: "マイクをミュート" },
  resultsTitle: { en: "What is shown", de: "Was gezeigt wird", ja: "表れているもの" },
  historyTitle: { en: "The last 60 seconds", de: "Die letzten 60 Sekunden", ja: "直近60秒" },
  speechTitle: { en: "Who spoke, and with what emotion", de: "Wer sprach, und mit welcher Emotion", ja: "誰がどんな感情で話したか" },
  speechHint: {
    en: "Each row is a person's own colour and number; below a turn is the colour of its emotion. A voice of which it is not known whose it is has a “?”.",
    de: "Jede Zeile hat Farbe und Nummer einer Person; unter dem Gesprochenen steht die Farbe der Emotion. Eine Stimme, von der nicht bekannt ist, wessen sie ist, hat ein „?“.",
    ja: "各行は人物ごとの色と番号で、発話の下の色は感情を表します。誰の声かわからないものは「?」で示します。",
  },
  subject: { en: "Person {n}", de: "Person {n}", ja: "人物 {n}" },
  unknownSpeaker: { en: "Not known who", de: "Unbekannt wer", ja: "不明な話者" },
  speaks: { en: "speaks", de: "spricht", ja: "発話中" },
  speaksNow: { en: "{who} speaks", de: "{who} spricht", ja: "{who} が話しています" },
  unknownSpeaks: { en: "Somebody speaks; it is not known who", de: "Jemand spricht; es ist nicht bekannt, wer", ja: "誰かが話していますが、誰かはわかりません" },
  nobodySpeaks: { en: "Nobody speaks", de: "Niemand spricht", ja: "誰も話していません" },
  spoke: {
    en: "{who} spoke for {seconds} s of the last 60: {labels}", de: "{who} sprach {seconds} s der letzten 60: {labels}",
    ja: "{who}：直近60秒のうち {seconds} 秒発話（{labels}）",
  },
  now: { en: "now", de: "jetzt", ja: "今" },
  csv: { en: "Download CSV", de: "CSV herunterladen", ja: "CSVをダウンロード" },
  jsonl: { en: "Download JSONL", de: "JSONL herunterladen", ja: "JSONLをダウンロード" },
  settings: { en: "Settings", de: "Einstellungen", ja: "設定" },
  camera: { en: "Camera", de: "Kamera", ja: "カメラ" },
  microphone: { en: "Microphone", de: "Mikrofon", ja: "マイク" },
  codec: { en: "Video codec", de: "Video-Codec", ja: "ビデオコーデック" },
  default: { en: "default", de: "Standard", ja: "既定" },
  none: { en: "none", de: "keine", ja: "なし" },
  automatic: { en: "automatic", de: "automatisch", ja: "自動" },
  noGender: { en: "Leave gender out", de: "Geschlecht weglassen", ja: "性別を判定しない" },
  settingsHint: {
    en: "Choices take effect at once: a running session is opened anew.",
    de: "Was Sie wählen, gilt sofort: eine laufende Sitzung wird neu geöffnet.",
    ja: "変更はすぐに反映され、実行中のセッションは開き直されます。",
  },

  asking: { en: "Asking for camera and microphone…", de: "Kamera und Mikrofon werden angefragt…", ja: "カメラとマイクの許可を求めています…" },
  opening: { en: "Opening the file…", de: "Die Datei wird geöffnet…", ja: "ファイルを開いています…" },
  checking: { en: "Checking the token…", de: "Das Token wird geprüft…", ja: "トークンを確認しています…" },
  connecting: { en: "Connecting…", de: "Verbinden…", ja: "接続しています…" },
  running: { en: "Connected. Nothing is stored.", de: "Verbunden. Nichts wird gespeichert.", ja: "接続中。何も保存されません。" },
  interrupted: {
    en: "The connection was interrupted. Finding a new way…", de: "Die Verbindung wurde unterbrochen. Ein neuer Weg wird gesucht…",
    ja: "接続が中断されました。別の経路を探しています…",
  },
  silent: {
    en: "The server does not answer. Trying to reach it…", de: "Der Server antwortet nicht. Er wird weiter gesucht…",
    ja: "サーバーが応答しません。再接続を試みています…",
  },
  stopped: {
    en: "Stopped. Results stay on the server until {time}.", de: "Angehalten. Die Ergebnisse bleiben bis {time} auf dem Server.",
    ja: "停止しました。結果は {time} までサーバーに残ります。",
  },
  erased: { en: "Stopped. The results are deleted.", de: "Angehalten. Die Ergebnisse sind gelöscht.", ja: "停止しました。結果は削除されました。" },
  fileEnded: { en: "The file has ended.", de: "Die Datei ist zu Ende.", ja: "ファイルが終わりました。" },
  notRunning: { en: "Not running.", de: "Läuft nicht.", ja: "実行していません。" },
  serverEnded: { en: "The server ended the session.", de: "Der Server hat die Sitzung beendet.", ja: "サーバーがセッションを終了しました。" },
  serverGone: { en: "The server has gone away.", de: "Der Server ist nicht mehr da.", ja: "サーバーがなくなりました。" },
  sessionEnded: { en: "The session has ended: {reason}.", de: "Die Sitzung ist zu Ende: {reason}.", ja: "セッションが終了しました：{reason}。" },
  waiting: {
    en: "{why} Camera and microphone are off until it is back…", de: "{why} Kamera und Mikrofon sind aus, bis er wieder da ist…",
    ja: "{why} 復帰するまでカメラとマイクはオフです…",
  },
  startAgain: { en: "{why} Start again when it is back.", de: "{why} Starten Sie neu, wenn er wieder da ist.", ja: "{why} 復帰したら、もう一度開始してください。" },

  denied: {
    en: "The browser does not let this page use camera or microphone. Allow it by the icon beside the address, then start again.",
    de: "Der Browser lässt diese Seite Kamera oder Mikrofon nicht benutzen. Erlauben Sie es über das Symbol neben der Adresse und starten Sie neu.",
    ja: "ブラウザーがカメラまたはマイクの使用を許可していません。アドレスの横のアイコンから許可して、もう一度開始してください。",
  },
  notFound: {
    en: "{what}: there is none that could be used. Connect one, or choose “none” for it in the settings.",
    de: "{what}: es gibt nichts, was benutzt werden könnte. Schließen Sie ein Gerät an, oder wählen Sie „keine“ in den Einstellungen.",
    ja: "{what}：使える機器がありません。接続するか、設定で「なし」を選んでください。",
  },
  inUse: {
    en: "{what}: in use by another program, or it fails. Close that program, then start again.",
    de: "{what}: ein anderes Programm benutzt das Gerät, oder es versagt. Schließen Sie das Programm und starten Sie neu.",
    ja: "{what}：ほかのプログラムが使用中か、故障しています。そのプログラムを閉じて、もう一度開始してください。",
  },
  notThere: {
    en: "{what}: the one that was chosen is not there any more. Choose another one in the settings.",
    de: "{what}: das gewählte Gerät ist nicht mehr da. Wählen Sie ein anderes in den Einstellungen.",
    ja: "{what}：選んだ機器がなくなりました。設定で別のものを選んでください。",
  },
  cannotOpen: { en: "{what}: cannot be opened ({error}).", de: "{what}: lässt sich nicht öffnen ({error}).", ja: "{what}：開けません（{error}）。" },
  bothNone: {
    en: "Camera and microphone are both “none”. Choose at least one in the settings.",
    de: "Kamera und Mikrofon stehen beide auf „keine“. Wählen Sie mindestens eines in den Einstellungen.",
    ja: "カメラとマイクがどちらも「なし」です。設定で少なくとも一方を選んでください。",
  },
  goingOn: { en: "{faults} Going on with one alone: {what}.", de: "{faults} Weiter mit einem allein: {what}.", ja: "{faults} {what}だけで続けます。" },
  wentAway: {
    en: "{what}: it has gone away. Connect it, or choose another one in the settings.",
    de: "{what}: das Gerät ist nicht mehr da. Schließen Sie es an, oder wählen Sie ein anderes in den Einstellungen.",
    ja: "{what}：接続が切れました。接続し直すか、設定で別のものを選んでください。",
  },
  badFile: {
    en: "This browser cannot play {name}. Try an MP4 or WebM.", de: "Dieser Browser kann {name} nicht abspielen. Versuchen Sie MP4 oder WebM.",
    ja: "このブラウザーは {name} を再生できません。MP4かWebMを試してください。",
  },
  noCapture: {
    en: "This browser cannot send a file. Use a current Firefox, Chrome or Edge for that.",
    de: "Dieser Browser kann keine Datei senden. Nehmen Sie dafür ein aktuelles Firefox, Chrome oder Edge.",
    ja: "このブラウザーはファイルを送信できません。最新のFirefox、Chrome、Edgeを使ってください。",
  },
  insecure: {
    en: "Browsers give camera and microphone to pages over HTTPS or on localhost only. Open this page that way.",
    de: "Browser geben Kamera und Mikrofon nur an Seiten über HTTPS oder auf localhost. Öffnen Sie diese Seite so.",
    ja: "カメラとマイクはHTTPSかlocalhostのページでしか使えません。そのようにこのページを開いてください。",
  },
  noWebRTC: {
    en: "This browser has no WebRTC. Use a current Firefox, Chrome, Edge or Safari.", de: "Dieser Browser hat kein WebRTC. Nehmen Sie ein aktuelles Firefox, Chrome, Edge oder Safari.",
    ja: "このブラウザーにはWebRTCがありません。最新のFirefox、Chrome、Edge、Safariを使ってください。",
  },
  noDevices: {
    en: "This browser gives pages no camera or microphone. Use a current Firefox, Chrome, Edge or Safari.",
    de: "Dieser Browser gibt Seiten weder Kamera noch Mikrofon. Nehmen Sie ein aktuelles Firefox, Chrome, Edge oder Safari.",
    ja: "このブラウザーはページにカメラやマイクを渡しません。最新のFirefox、Chrome、Edge、Safariを使ってください。",
  },
  noCodec: {
    en: "This browser cannot send {codec}. Choose another video codec in the settings.", de: "Dieser Browser kann {codec} nicht senden. Wählen Sie einen anderen Video-Codec in den Einstellungen.",
    ja: "このブラウザーは {codec} を送信できません。設定で別のビデオコーデックを選んでください。",
  },
  wrongToken: {
    en: "The token is not this server's. Type the right one, then start again.", de: "Das Token ist nicht das dieses Servers. Geben Sie das richtige ein und starten Sie neu.",
    ja: "トークンが違います。正しいものを入力して、もう一度開始してください。",
  },
  needsToken: {
    en: "This server wants a token. Type it in, then start again.", de: "Dieser Server verlangt ein Token. Geben Sie es ein und starten Sie neu.",
    ja: "このサーバーにはトークンが必要です。入力して、もう一度開始してください。",
  },
  unanswered: {
    en: "The server does not answer. Check your network, or whether it still runs, then start again.",
    de: "Der Server antwortet nicht. Prüfen Sie das Netz, oder ob er noch läuft, und starten Sie neu.",
    ja: "サーバーが応答しません。ネットワークか、サーバーが動いているかを確認して、もう一度開始してください。",
  },
  unansweredLoad: {
    en: "The server does not answer. Check your network, then load the page again.", de: "Der Server antwortet nicht. Prüfen Sie das Netz und laden Sie die Seite neu.",
    ja: "サーバーが応答しません。ネットワークを確認して、ページを読み込み直してください。",
  },
  refused: { en: "The server refuses the session: {why}", de: "Der Server lehnt die Sitzung ab: {why}", ja: "サーバーがセッションを拒否しました：{why}" },
  failed: { en: "The connection could not be made ({error}).", de: "Die Verbindung kam nicht zustande ({error}).", ja: "接続できませんでした（{error}）。" },
  lost: {
    en: "The connection was lost and could not be made again. Check your network, then start again.",
    de: "Die Verbindung ging verloren und kam nicht wieder zustande. Prüfen Sie das Netz und starten Sie neu.",
    ja: "接続が失われ、再接続できませんでした。ネットワークを確認して、もう一度開始してください。",
  },
  tryAgainIn: { en: "{why}. You can try again in {seconds} s.", de: "{why}. In {seconds} s können Sie es noch einmal versuchen.", ja: "{why}。{seconds} 秒後にもう一度試せます。" },
  untold: {
    en: "The server could not be told ({error}). It forgets the results {minutes} minutes after the session's end.",
    de: "Dem Server war es nicht zu sagen ({error}). Er vergisst die Ergebnisse {minutes} Minuten nach dem Ende der Sitzung.",
    ja: "サーバーに伝えられませんでした（{error}）。結果はセッション終了の {minutes} 分後に消えます。",
  },

  senses: { en: "Seen and heard: {used}", de: "Gesehen und gehört: {used}", ja: "使用中：{used}" },
  face: { en: "face", de: "Gesicht", ja: "顔" },
  voice: { en: "voice", de: "Stimme", ja: "声" },
  and: { en: " and ", de: " und ", ja: "と" },
  nothing: { en: "neither a face nor a voice", de: "weder Gesicht noch Stimme", ja: "顔も声もありません" },
  noFace: { en: "no face is seen", de: "kein Gesicht ist zu sehen", ja: "顔が見えません" },
  cameraOff: { en: "the camera is off", de: "die Kamera ist aus", ja: "カメラがオフです" },
  noVoice: { en: "it is quiet, or another speaks", de: "es ist still, oder jemand anderes spricht", ja: "静かか、ほかの人が話しています" },
  micOff: { en: "the microphone is off", de: "das Mikrofon ist aus", ja: "マイクがオフです" },
  shareOfWindows: {
    en: "{n} of the last {of} answers used face and voice", de: "{n} der letzten {of} Antworten nutzten Gesicht und Stimme", ja: "直近 {of} 回のうち {n} 回は顔と声の両方を使いました",
  },
  covers: { en: "each covers the last {seconds} seconds", de: "jede umfasst die letzten {seconds} Sekunden", ja: "それぞれ直近 {seconds} 秒を対象とします" },
  firstLook: { en: "a first look, at {seconds} seconds", de: "ein erster Blick, auf {seconds} Sekunden", ja: "最初の判定（{seconds} 秒分）" },
  late: {
    en: "Answers come {ms} ms after what they are of, 95 of 100 within {p95} ms", de: "Antworten kommen {ms} ms nach dem, wovon sie sind, 95 von 100 binnen {p95} ms",
    ja: "判定は {ms} ミリ秒後に届きます（100回中95回は {p95} ミリ秒以内）",
  },
  nothingLost: { en: "Nothing was lost", de: "Nichts ging verloren", ja: "失われたものはありません" },
  wasLost: {
    en: "Lost on the way or for lack of time: {frames} pictures, {seconds} s of sound, {windows} answers",
    de: "Unterwegs oder aus Zeitnot verloren: {frames} Bilder, {seconds} s Ton, {windows} Antworten", ja: "失われたもの：映像 {frames} 枚、音声 {seconds} 秒、判定 {windows} 回",
  },

  "label:neutral": { en: "neutral", de: "neutral", ja: "普通" },
  "label:happy": { en: "happy", de: "fröhlich", ja: "喜び" },
  "label:sad": { en: "sad", de: "traurig", ja: "悲しみ" },
  "label:angry": { en: "angry", de: "wütend", ja: "怒り" },
  "label:fearful": { en: "fearful", de: "ängstlich", ja: "恐れ" },
  "label:disgusted": { en: "disgusted", de: "angeekelt", ja: "嫌悪" },
  "label:surprised": { en: "surprised", de: "überrascht", ja: "驚き" },
  "label:female": { en: "female", de: "weiblich", ja: "女性" },
  "label:male": { en: "male", de: "männlich", ja: "男性" },
};

// language is the first of the browser's that the page speaks.
export const language = (navigator.languages ?? [navigator.language])
  .map((l) => l.toLowerCase().split("-")[0]).find((l) => l in texts.start) ?? "en";

// text returns what a key stands for.
export function text(key, values = {}) {
  return texts[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// labelText returns a label of the model in the page's language, if it knows it.
export function labelText(label) { return `label:${label}` in texts ? text(`label:${label}`) : label; }

// translate fills in the texts that the page has from the start.
export function translate() {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll("[data-text]")) e.textContent = text(e.dataset.text);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", text(e.dataset.label));
}
