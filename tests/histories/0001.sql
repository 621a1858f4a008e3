BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE events (
	task_id TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	topic TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (task_id, seq)
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES('01a22bb2-11dd-729f-9c5f-6b91e3e6ca0d',1,'agent.task.execute',1796029419997183,'{"task":"```python\nfrom skills import charge\ncharge(12)\n```","sessionId":"unknown","requestId":"8e7836fa138ee81369e6267e"}');
INSERT INTO "events" VALUES('01a22bb2-11dd-729f-9c5f-6b91e3e6ca0d',2,'agent.step.started',1796029420017039,'{"step":1,"planner":"offline","intent":"python","code":"from skills import charge\ncharge(12)"}');
INSERT INTO "events" VALUES('01a22bb2-11dd-729f-9c5f-6b91e3e6ca0d',3,'agent.skill.started',1796029420019599,'{"call":1,"skill":"charge","replay":"never","args":[12],"kwargs":{}}');
INSERT INTO "events" VALUES('01a22bb2-1247-7913-abe9-b8bc3d895b24',1,'agent.task.execute',1796029420103662,'{"task":"```python\nprices = [3, 4, 5]\n```","sessionId":"talk","requestId":"31421f749295bc64796e4348"}');
INSERT INTO "events" VALUES('01a22bb2-1247-7913-abe9-b8bc3d895b24',2,'agent.step.started',1796029420105774,'{"step":1,"planner":"offline","intent":"python","code":"prices = [3, 4, 5]"}');
INSERT INTO "events" VALUES('01a22bb2-1247-7913-abe9-b8bc3d895b24',3,'agent.step.completed',1796029420110303,'{"step":1,"durationMs":4.591,"ok":true,"printed":""}');
INSERT INTO "events" VALUES('01a22bb2-1247-7913-abe9-b8bc3d895b24',4,'agent.task.completed',1796029420110371,'{"executionTime":5.794,"output":null}');
INSERT INTO "events" VALUES('01a22bb2-1252-76ae-beeb-e87dc53608c5',1,'agent.task.execute',1796029420114486,'{"task":"My name is Alice","sessionId":"talk","requestId":"783a13d9ca0f04dd10367ee9"}');
INSERT INTO "events" VALUES('01a22bb2-1252-76ae-beeb-e87dc53608c5',2,'agent.step.started',1796029420115888,'{"step":1,"planner":"offline","intent":"memory","code":"memory = {}\nmemory[''name''] = ''Alice''\n''Nice to meet you, Alice. I will remember your name in this session.''"}');
INSERT INTO "events" VALUES('01a22bb2-1252-76ae-beeb-e87dc53608c5',3,'agent.step.completed',1796029420118202,'{"step":1,"durationMs":2.846,"ok":true,"printed":""}');
INSERT INTO "events" VALUES('01a22bb2-1252-76ae-beeb-e87dc53608c5',4,'agent.task.completed',1796029420118243,'{"executionTime":2.92,"output":"Nice to meet you, Alice. I will remember your name in this session."}');
INSERT INTO "events" VALUES('01a22bb2-125a-7ce4-b33d-07f25646a0a9',1,'agent.task.execute',1796029420122879,'{"task":"```python\nsum(prices)\n```","sessionId":"talk","requestId":"7fc74d59286ccdbd97435ce7"}');
INSERT INTO "events" VALUES('01a22bb2-125a-7ce4-b33d-07f25646a0a9',2,'agent.step.started',1796029420123926,'{"step":1,"planner":"offline","intent":"python","code":"sum(prices)"}');
INSERT INTO "events" VALUES('01a22bb2-125a-7ce4-b33d-07f25646a0a9',3,'agent.step.completed',1796029420127090,'{"step":1,"durationMs":3.281,"ok":true,"printed":""}');
INSERT INTO "events" VALUES('01a22bb2-125a-7ce4-b33d-07f25646a0a9',4,'agent.task.completed',1796029420127148,'{"executionTime":3.37,"output":12}');
INSERT INTO "events" VALUES('01a22bb2-1261-7d5d-816d-a95ced78a536',1,'agent.task.execute',1796029420129942,'{"task":"```python\n1 / 0\n```","sessionId":"broken","requestId":"c3a809961bb9dd7435958af8"}');
INSERT INTO "events" VALUES('01a22bb2-1261-7d5d-816d-a95ced78a536',2,'agent.step.started',1796029420132534,'{"step":1,"planner":"offline","intent":"python","code":"1 / 0"}');
INSERT INTO "events" VALUES('01a22bb2-1261-7d5d-816d-a95ced78a536',3,'agent.step.completed',1796029420134407,'{"step":1,"durationMs":1.954,"ok":false,"error":"The code raised ZeroDivisionError: division by zero","errorCode":"script_error"}');
INSERT INTO "events" VALUES('01a22bb2-1261-7d5d-816d-a95ced78a536',4,'agent.task.failed',1796029420134448,'{"executionTime":3.731,"error":"The code raised ZeroDivisionError: division by zero","errorCode":"script_error"}');
INSERT INTO "events" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031',1,'agent.task.execute',1796029420137084,'{"task":"```python\nfrom skills import book, look_up\na = book(''a table'')\nb = look_up(''the key'')\n[a, b]\n```","sessionId":"running","requestId":"25b8d5338ea090e8049fa60a"}');
INSERT INTO "events" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031',2,'agent.step.started',1796029420139379,'{"step":1,"planner":"offline","intent":"python","code":"from skills import book, look_up\na = book(''a table'')\nb = look_up(''the key'')\n[a, b]"}');
INSERT INTO "events" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031',3,'agent.skill.started',1796029420141007,'{"call":1,"skill":"book","replay":"keyed","args":["a table"],"kwargs":{}}');
INSERT INTO "events" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031',4,'agent.skill.completed',1796029420143494,'{"call":1,"skill":"book","ok":true,"result":"a table is booked","durationMs":0.695}');
INSERT INTO "events" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031',5,'agent.skill.started',1796029420143668,'{"call":2,"skill":"look-up","replay":"safe","args":["the key"],"kwargs":{}}');
INSERT INTO "events" VALUES('01a22bb2-12d4-727f-8e9c-361977629c99',1,'agent.task.execute',1796029420244177,'{"task":"What is 2 times 3?","sessionId":"running","requestId":"6111325608cc402db8a4da71"}');
CREATE TABLE sessions (
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	tasks INTEGER NOT NULL, 
	variables TEXT NOT NULL, 
	conversation TEXT NOT NULL, 
	interpreter BLOB, 
	PRIMARY KEY (id)
);
INSERT INTO "sessions" VALUES('talk',1796029420103662,1796029420127134,3,'["memory","prices"]','[["user","```python\nprices = [3, 4, 5]\n```"],["assistant","null"],["user","My name is Alice"],["assistant","Nice to meet you, Alice. I will remember your name in this session."],["user","```python\nsum(prices)\n```"],["assistant","12"]]',X'13249F1A899FDB50EFCE845C6034B9E096D5BB7CD8732CADE1F159033EB234904D4F4E5459000E00A46B7363726970745F6E616D65676D61696E2E70796A747970655F636865636BF66C6D6F64756C655F737475627380657374617465A16449646C65AB6B7363726970745F6E616D65676D61696E2E70796D6E6578745F696E7075745F6964036C676C6F62616C5F6E616D6573A165736C6F747382188A188C67696E7465726E73A667737472696E677391683C6D6F64756C653E644E6F6E6564547275656546616C736568456C6C69707369736E4E6F74496D706C656D656E746564685F5F6D61696E5F5F675F5F646F635F5F703C707974686F6E2D696E7075742D303E66707269636573703C707974686F6E2D696E7075742D313E666D656D6F7279646E616D6565416C69636578434E69636520746F206D65657420796F752C20416C6963652E20492077696C6C2072656D656D62657220796F7572206E616D6520696E20746869732073657373696F6E2E703C707974686F6E2D696E7075742D323E6373756D65627974657380696C6F6E675F696E7473806966756E6374696F6E73807066726F7A656E5F66756E6374696F6E73A06C6576616C5F736F75726365738067736F7572636573A3703C707974686F6E2D696E7075742D313E786A6D656D6F7279203D207B7D0A6D656D6F72795B276E616D65275D203D2027416C696365270A274E69636520746F206D65657420796F752C20416C6963652E20492077696C6C2072656D656D62657220796F7572206E616D6520696E20746869732073657373696F6E2E27703C707974686F6E2D696E7075742D303E72707269636573203D205B332C20342C20355D703C707974686F6E2D696E7075742D323E6B73756D2870726963657329676F7074696F6E73A2781A6173736572745F6D6573736167655F616E6E6F746174696F6E73A1684D61784279746573187875736F757263655F7363616E5F7468726573686F6C64191000696F735F706F6C696379A5686461746574696D656653797374656D6874696D657A6F6E65A1654669786564A26E6F66667365745F7365636F6E647300646E616D656355544365736C656570A16653797374656DA264736563730A656E616E6F73006C70726F636573735F74696D65645A65726F6C72616E646F6D5F73746172746653797374656D63637764612F6672616E646F6DA2666D6F64756C65A263726E67F66A67617573735F6E657874F66764657269766564F66468656170A667656E747269657384A36152016144A16154A26149806143F461436142A36152016144A1614CA2614983A1614903A1614904A16149056143F461436150A36152016144A16144A3614581A3614BA16154188D6156A16154188E61481B313907108B3CA7C06143F4614BF661436150F667747261636B6572A4666C696D697473A7716D61785F666565645F6475726174696F6EA264736563730A656E616E6F7300716D61785F7475726E5F6475726174696F6EF66A6D61785F6D656D6F72791A080000006B67635F696E74657276616CF6736D61785F726563757273696F6E5F64657074681901906F6D61785F73757370656E73696F6E7319044C6F6D61785F746F74616C5F736C656570F674746F74616C5F657865637574696F6E5F74696D65A2647365637300656E616E6F7319A4D073666565645F657865637574696F6E5F74696D65A2647365637300656E616E6F731987837818726563757273696F6E5F6C696D69745F6F76657272696465F66C707572706C655F636F756E740274616C6C6F636174696F6E735F73696E63655F6763036C74696D657A6F6E655F757463F670646563696D616C5F636F6E746578747384F6F6F6F667676C6F62616C7382A1614301A1614302');
INSERT INTO "sessions" VALUES('broken',1796029420129942,1796029420134423,1,'[]','[]',NULL);
CREATE TABLE tasks (
	id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	priority INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	execution_time_ms FLOAT, 
	timeout_ms INTEGER, 
	agent TEXT, 
	error_code TEXT, 
	request_id TEXT, 
	caller TEXT, 
	available_skills TEXT, 
	labels TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	error TEXT, 
	output TEXT, 
	system_prompt TEXT, 
	task TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES('01a22bb2-11dd-729f-9c5f-6b91e3e6ca0d','unknown','running',1,0,1796029419997183,1796029420001242,NULL,NULL,NULL,NULL,NULL,'8e7836fa138ee81369e6267e','ip:127.0.0.1',NULL,'{}','{}',NULL,NULL,NULL,'```python
from skills import charge
charge(12)
```');
INSERT INTO "tasks" VALUES('01a22bb2-1247-7913-abe9-b8bc3d895b24','talk','completed',1,0,1796029420103662,1796029420104578,1796029420110371,5.794,NULL,NULL,NULL,'31421f749295bc64796e4348','ip:127.0.0.1',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":0,"totalTokens":0,"attempt":1,"intent":"python"}',NULL,NULL,NULL,'```python
prices = [3, 4, 5]
```');
INSERT INTO "tasks" VALUES('01a22bb2-1252-76ae-beeb-e87dc53608c5','talk','completed',1,0,1796029420114486,1796029420115323,1796029420118243,2.92,NULL,NULL,NULL,'783a13d9ca0f04dd10367ee9','ip:127.0.0.1',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":0,"totalTokens":0,"attempt":1,"intent":"memory"}',NULL,'"Nice to meet you, Alice. I will remember your name in this session."',NULL,'My name is Alice');
INSERT INTO "tasks" VALUES('01a22bb2-125a-7ce4-b33d-07f25646a0a9','talk','completed',1,0,1796029420122879,1796029420123778,1796029420127148,3.37,NULL,NULL,NULL,'7fc74d59286ccdbd97435ce7','ip:127.0.0.1',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":0,"totalTokens":0,"attempt":1,"intent":"python"}',NULL,'12',NULL,'```python
sum(prices)
```');
INSERT INTO "tasks" VALUES('01a22bb2-1261-7d5d-816d-a95ced78a536','broken','failed',1,0,1796029420129942,1796029420130716,1796029420134448,3.731,NULL,NULL,'script_error','c3a809961bb9dd7435958af8','ip:127.0.0.1',NULL,'{"kind":"failure"}','{"planner":"offline","llmCalls":0,"skillCalls":0,"totalTokens":0,"attempt":1,"intent":"python"}','The code raised ZeroDivisionError: division by zero',NULL,NULL,'```python
1 / 0
```');
INSERT INTO "tasks" VALUES('01a22bb2-1269-710a-a217-6aa18e33d031','running','running',1,0,1796029420137084,1796029420138059,NULL,NULL,NULL,NULL,NULL,'25b8d5338ea090e8049fa60a','ip:127.0.0.1',NULL,'{}','{}',NULL,NULL,NULL,'```python
from skills import book, look_up
a = book(''a table'')
b = look_up(''the key'')
[a, b]
```');
INSERT INTO "tasks" VALUES('01a22bb2-12d4-727f-8e9c-361977629c99','running','pending',0,0,1796029420244177,NULL,NULL,NULL,NULL,NULL,NULL,'6111325608cc402db8a4da71','ip:127.0.0.1',NULL,'{}','{}',NULL,NULL,NULL,'What is 2 times 3?');
CREATE TABLE totals (
	id INTEGER NOT NULL, 
	total BIGINT NOT NULL, 
	completed BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	cancelled BIGINT NOT NULL, 
	live BIGINT NOT NULL, 
	stored BIGINT NOT NULL, 
	execution_ms FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "totals" VALUES(1,7,3,1,0,3,4,15.815);
CREATE INDEX ix_tasks_session ON tasks (session_id, id);
CREATE INDEX ix_tasks_status ON tasks (status, id);
CREATE INDEX ix_tasks_session_status ON tasks (session_id, status, id);
CREATE INDEX ix_tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
COMMIT;
