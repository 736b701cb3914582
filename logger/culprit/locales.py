"""What the C library and bash say where a node's language is not English. Knows the words, not what they mean for a job."""

from __future__ import annotations

import re

NO_SUCH_FILE = (
    "Datei oder Verzeichnis nicht gefunden",
    "Aucun fichier ou dossier de ce",
    "No existe el fichero o el directorio",
    "No existe el archivo o el directorio",
    "File o directory non esistente",
    "Arquivo ou diretório",
    "Нет такого файла или каталога",
    "没有那个文件或目录",
    "そのようなファイルやディレクトリはありません",
)
PERMISSION_DENIED = (
    "Keine Berechtigung",
    "Permission non accordée",
    "Permiso denegado",
    "Permesso negato",
    "Permissão negada",
    "Отказано в доступе",
    "权限不够",
    "許可がありません",
)
DISK_FULL = (
    "ist kein Speicherplatz mehr verfügbar",
    "Aucun espace disponible sur le périphérique",
    "No queda espacio en el dispositivo",
    "Spazio esaurito sul device",
    "Não há espaço disponível no dispositivo",
    "На устройстве не осталось свободного места",
    "设备上没有空间",
    "デバイスに空き領域がありません",
)
QUOTA = (
    "(Quota) ist überschritten",
    "Débordement du quota d'espace disque",
    "Quota de disque dépassé",
    "Se ha excedido la cuota de disco",
    "Quota disco superata",
    "超出磁盘限额",
    "ディスク使用量制限を超過しました",
)
DISK_IO = (
    "Eingabe-/Ausgabefehler",
    "Erreur d'entrée/sortie",
    "Error de entrada/salida",
    "Errore di input/output",
    "Ошибка ввода/вывода",
    "输入/输出错误",
    "入力/出力エラー",
    "Das Dateisystem ist nur lesbar",
    "Système de fichiers accessible en lecture seul",
    "Sistema de ficheros de sólo lectura",
    "只读文件系统",
    "読み込み専用ファイルシステム",
    "Veraltete Dateizugriffsnummer",
    "Descripteur de fichier périmé",
    "过旧的文件控柄",
)
NO_MEMORY = (
    "Nicht genügend Hauptspeicher verfügbar",
    "Kann keinen Speicher zuordnen",
    "Ne peut allouer de la mémoire",
    "Impossible d'allouer de la mémoire",
    "No se pudo asignar memoria",
    "Impossibile allocare memoria",
    "Не удалось выделить память",
    "无法分配内存",
    "メモリを確保できません",
)
COMMAND_NOT_FOUND = (
    "Kommando nicht gefunden",
    "Befehl nicht gefunden",
    "commande introuvable",
    "orden no encontrada",
    "comando non trovato",
    "comando não encontrado",
    "команда не найдена",
    "未找到命令",
    "コマンドが見つかりません",
)
CRASHED = (
    "Speicherzugriffsfehler",
    "Erreur de segmentation",
    "Violación de segmento",
    "Errore di segmentazione",
    "Ошибка сегментирования",
    "段错误",
    "セグメンテーション違反",
    "Bus-Zugriffsfehler",
    "Erreur du bus",
    "总线错误",
    "Gleitkomma-Ausnahme",
    "Exception en point flottant",
    "浮点数例外",
)
ILLEGAL_INSTRUCTION = (
    "Ungültiger Maschinenbefehl",
    "Instruction non permise",
    "Instrucción ilegal",
    "非法指令",
)
REFUSED = (
    "Verbindungsaufbau abgelehnt",
    "Connexion refusée",
    "Conexión rehusada",
    "Connessione rifiutata",
    "拒绝连接",
)
UNKNOWN_HOST = (
    "Der Name oder der Dienst ist nicht bekannt",
    "Nom ou service inconnu",
    "Nombre o servicio desconocido",
    "未知的名称或服务",
)
KILLED = ("Getötet", "Processus arrêté", "Terminado (killed)", "Ucciso", "Убито", "已杀死", "強制終了")
ABORTED = ("Abgebrochen", "Abandon", "Abortado", "Annullato", "已放弃", "已中止", "中止")

OF_A_SCRIPT = r"^.*: (?:Zeile|ligne|línea|linha|riga|строка|行) ?\d+ ?: +\d+ "
"""How bash begins the line in which it says how a program ended."""


def hints(*phrases: str) -> tuple[str, ...]:
    """The phrases as hints of a pattern."""
    return tuple(phrase.lower() for phrase in phrases)


def any_of(*phrases: str) -> str:
    """An expression for any of the phrases."""
    return "|".join(re.escape(phrase) for phrase in phrases)
