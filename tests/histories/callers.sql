BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
CREATE TABLE answers (
	caller TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	task_id TEXT, 
	answer TEXT NOT NULL, 
	PRIMARY KEY (caller, "key")
);
INSERT INTO "answers" VALUES('key:744e3f2db4a90571','the-key',1796053662279802,'ff0ae39a160b91d982e554429ace7e7f1270852ca0ad3551bc5c0e3484a09ff3','01a22d23-fa47-7c21-a50c-0249605a6c3e','{"sessionId":"first-key","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('key:b403ac760ffbe9c4','the-key',1796053662469569,'a1d9b2e56ee1d7754763d6fb16d953eb7836484243037c37b3d3dffb1f5bbbbf','01a22d23-fb05-78ae-a889-82921ebb8186','{"sessionId":"second-key","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('key:b454f189e8ec840b','the-key',1796053662538735,'3c5805a6c4dcb16e57be9c429454740176c683c44d9919834c3bc619b1431513','01a22d23-fb4a-7b51-8c8e-668be0798381','{"sessionId":"schluessel","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('ip:127.0.0.1','the-key',1796053663373098,'245e31e44523bfc02d3443595a243b697d67fe55388743e7f14ed6cfcd170cbb','01a22d23-fe8d-70d7-9935-7ac07e1bc580','{"sessionId":"address","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('ip:192.0.2.7','the-key',1796053663425898,'3394acd9fefc9eeb69cf17206d795fe25df5a77a9dfdd528dc688ccc1c7c6f6c','01a22d23-fec1-7dc7-a350-2d77b103ae31','{"sessionId":"ipv4","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('ip:2001:db8:1:2::/64','the-key',1796053663459745,'22a05ff54c1271a9f1e3b43e842f9e50fd93e2ad15248696c24e5f7b502652ab','01a22d23-fee3-7b5f-81fd-09af4f7d871c','{"sessionId":"ipv6","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('','the-key',1796053663993725,'e57681a67b6fd7eb8096b52a7649c0863d1ea2fe53eaf05705559478e9b87f2d','01a22d24-00f9-7881-80ef-5685e84209a6','{"sessionId":"process","task":"What is 12 times 7?"}');
INSERT INTO "answers" VALUES('ann','the-key',1796053664411001,'bdfe6efabeb4cd08e5042ba11f77bdc797fe3f4a4e307a455b61ddabec889cd5','01a22d24-029a-7b42-ba01-e28d6baa92e6','{"sessionId":"ann","task":"What is 12 times 7?"}');
CREATE TABLE calls (
	task_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	replay TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	effect_id TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	error TEXT, 
	result TEXT, edited TEXT, effects TEXT, 
	PRIMARY KEY (task_id, number)
)
 WITHOUT ROWID

;
CREATE TABLE deliveries (
	id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	next_at BIGINT, 
	ended_at BIGINT, 
	status_code INTEGER, 
	receiver TEXT NOT NULL, 
	error TEXT, 
	url TEXT NOT NULL, site TEXT DEFAULT '' NOT NULL, caller TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE events (
	task_id TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	topic TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	data TEXT NOT NULL, position BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (task_id, seq)
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',1,'agent.task.execute',1796053662279802,'{"task":"What is 12 times 7?","sessionId":"first-key","requestId":"6060501ca664b83b077f79b6"}',1);
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',2,'agent.step.started',1796053662341312,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',2);
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',3,'agent.skill.started',1796053662350410,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',3);
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',4,'agent.skill.completed',1796053662351749,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":1.211}',4);
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',5,'agent.step.completed',1796053662352073,'{"step":1,"durationMs":10.761,"ok":true,"printed":""}',5);
INSERT INTO "events" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e',6,'agent.task.completed',1796053662352233,'{"output":84,"elapsedTime":72.431,"executionTime":21.947}',6);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',1,'agent.task.execute',1796053662469569,'{"task":"What is 12 times 7?","sessionId":"second-key","requestId":"7a8b411845e293b91bd49975"}',7);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',2,'agent.step.started',1796053662525714,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',8);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',3,'agent.skill.started',1796053662528928,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',9);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',4,'agent.skill.completed',1796053662529370,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.338}',10);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',5,'agent.step.completed',1796053662529664,'{"step":1,"durationMs":3.958,"ok":true,"printed":""}',11);
INSERT INTO "events" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186',6,'agent.task.completed',1796053662529858,'{"output":84,"elapsedTime":60.289,"executionTime":7.846}',12);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',1,'agent.task.execute',1796053662538735,'{"task":"What is 12 times 7?","sessionId":"schluessel","requestId":"8e346e73d30d1ccdecee1857"}',13);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',2,'agent.step.started',1796053662544715,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',14);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',3,'agent.skill.started',1796053662548176,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',15);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',4,'agent.skill.completed',1796053662548543,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.272}',16);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',5,'agent.step.completed',1796053662548794,'{"step":1,"durationMs":4.083,"ok":true,"printed":""}',17);
INSERT INTO "events" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381',6,'agent.task.completed',1796053662548968,'{"output":84,"elapsedTime":10.233,"executionTime":7.192}',18);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',1,'agent.task.execute',1796053663373098,'{"task":"What is 12 times 7?","sessionId":"address","requestId":"5e1073860f7e7a7e652f44e1"}',19);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',2,'agent.step.started',1796053663388157,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',20);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',3,'agent.skill.started',1796053663393743,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',21);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',4,'agent.skill.completed',1796053663394556,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.521}',22);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',5,'agent.step.completed',1796053663394983,'{"step":1,"durationMs":6.82,"ok":true,"printed":""}',23);
INSERT INTO "events" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580',6,'agent.task.completed',1796053663395233,'{"output":84,"elapsedTime":22.135,"executionTime":16.558}',24);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',1,'agent.task.execute',1796053663425898,'{"task":"What is 12 times 7?","sessionId":"ipv4","requestId":"2921114ef4ff6401196cca11"}',25);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',2,'agent.step.started',1796053663431604,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',26);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',3,'agent.skill.started',1796053663444229,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',27);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',4,'agent.skill.completed',1796053663448211,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":3.864}',28);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',5,'agent.step.completed',1796053663448625,'{"step":1,"durationMs":17.015,"ok":true,"printed":""}',29);
INSERT INTO "events" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31',6,'agent.task.completed',1796053663448784,'{"output":84,"elapsedTime":22.886,"executionTime":20.038}',30);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',1,'agent.task.execute',1796053663459745,'{"task":"What is 12 times 7?","sessionId":"ipv6","requestId":"11f4118f1894dd3465eaa249"}',31);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',2,'agent.step.started',1796053663465434,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',32);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',3,'agent.skill.started',1796053663468361,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',33);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',4,'agent.skill.completed',1796053663468715,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.263}',34);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',5,'agent.step.completed',1796053663469281,'{"step":1,"durationMs":3.844,"ok":true,"printed":""}',35);
INSERT INTO "events" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c',6,'agent.task.completed',1796053663469445,'{"output":84,"elapsedTime":9.7,"executionTime":6.342}',36);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',1,'agent.task.execute',1796053663993725,'{"task":"What is 12 times 7?","sessionId":"process"}',37);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',2,'agent.step.started',1796053664085152,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',38);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',3,'agent.skill.started',1796053664383193,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',39);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',4,'agent.skill.completed',1796053664383667,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.312}',40);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',5,'agent.step.completed',1796053664386213,'{"step":1,"durationMs":301.053,"ok":true,"printed":""}',41);
INSERT INTO "events" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6',6,'agent.task.completed',1796053664386487,'{"output":84,"elapsedTime":392.762,"executionTime":308.122}',42);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',1,'agent.task.execute',1796053664411001,'{"task":"What is 12 times 7?","sessionId":"ann"}',43);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',2,'agent.step.started',1796053664418290,'{"step":1,"agent":"master","planner":"offline","intent":"arithmetic","code":"from skills import calculate\ncalculate(''12 * 7'')"}',44);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',3,'agent.skill.started',1796053664426812,'{"call":1,"skill":"calculate","replay":"pure","args":["12 * 7"],"kwargs":{}}',45);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',4,'agent.skill.completed',1796053664427209,'{"ok":true,"result":84,"call":1,"skill":"calculate","durationMs":0.301}',46);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',5,'agent.step.completed',1796053664427706,'{"step":1,"durationMs":9.419,"ok":true,"printed":""}',47);
INSERT INTO "events" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6',6,'agent.task.completed',1796053664427874,'{"output":84,"elapsedTime":16.873,"executionTime":13.919}',48);
CREATE TABLE files (
	task_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	url TEXT, 
	data BLOB, 
	PRIMARY KEY (task_id, position)
);
CREATE TABLE interpreters (
	session_id TEXT NOT NULL, 
	variables TEXT NOT NULL, 
	data BLOB, 
	PRIMARY KEY (session_id)
);
CREATE TABLE schema (
	id INTEGER NOT NULL, 
	oldest TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "schema" VALUES(1,'0007');
CREATE TABLE "sessions" (
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	tasks INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "sessions" VALUES('first-key',1796053662330358,1796053662352175,1);
INSERT INTO "sessions" VALUES('second-key',1796053662522080,1796053662529756,1);
INSERT INTO "sessions" VALUES('schluessel',1796053662541862,1796053662548909,1);
INSERT INTO "sessions" VALUES('address',1796053663378745,1796053663395140,1);
INSERT INTO "sessions" VALUES('ipv4',1796053663428788,1796053663448725,1);
INSERT INTO "sessions" VALUES('ipv6',1796053663463156,1796053663469389,1);
INSERT INTO "sessions" VALUES('process',1796053664078437,1796053664386405,1);
INSERT INTO "sessions" VALUES('ann',1796053664414005,1796053664427811,1);
CREATE TABLE snapshots (
	task_id TEXT NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (task_id)
);
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
	task TEXT NOT NULL, owner TEXT, crashes INTEGER DEFAULT '0' NOT NULL, failures INTEGER DEFAULT '0' NOT NULL, not_before BIGINT, redrive_of TEXT, redriven_as TEXT, callback_url TEXT, retry TEXT, pause TEXT, parent_id TEXT, root_id TEXT, depth INTEGER DEFAULT '0' NOT NULL, budget TEXT, attachments TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES('01a22d23-fa47-7c21-a50c-0249605a6c3e','first-key','completed',1,0,1796053662279802,1796053662330287,1796053662352233,21.947,NULL,NULL,NULL,'6060501ca664b83b077f79b6','key:744e3f2db4a90571',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d23-fb05-78ae-a889-82921ebb8186','second-key','completed',1,0,1796053662469569,1796053662522009,1796053662529858,7.846,NULL,NULL,NULL,'7a8b411845e293b91bd49975','key:b403ac760ffbe9c4',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d23-fb4a-7b51-8c8e-668be0798381','schluessel','completed',1,0,1796053662538735,1796053662541775,1796053662548968,7.192,NULL,NULL,NULL,'8e346e73d30d1ccdecee1857','key:b454f189e8ec840b',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d23-fe8d-70d7-9935-7ac07e1bc580','address','completed',1,0,1796053663373098,1796053663378674,1796053663395233,16.558,NULL,NULL,NULL,'5e1073860f7e7a7e652f44e1','ip:127.0.0.1',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d23-fec1-7dc7-a350-2d77b103ae31','ipv4','completed',1,0,1796053663425898,1796053663428748,1796053663448784,20.038,NULL,NULL,NULL,'2921114ef4ff6401196cca11','ip:192.0.2.7',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d23-fee3-7b5f-81fd-09af4f7d871c','ipv6','completed',1,0,1796053663459745,1796053663463102,1796053663469445,6.342,NULL,NULL,NULL,'11f4118f1894dd3465eaa249','ip:2001:db8:1:2::/64',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d24-00f9-7881-80ef-5685e84209a6','process','completed',1,0,1796053663993725,1796053664078365,1796053664386487,308.122,NULL,NULL,NULL,NULL,NULL,NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "tasks" VALUES('01a22d24-029a-7b42-ba01-e28d6baa92e6','ann','completed',1,0,1796053664411001,1796053664413952,1796053664427874,13.919,NULL,NULL,NULL,NULL,'ann',NULL,'{}','{"planner":"offline","llmCalls":0,"skillCalls":1,"totalTokens":0,"attempt":1,"rounds":1,"intent":"arithmetic"}',NULL,'84',NULL,'What is 12 times 7?',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE totals (
	id INTEGER NOT NULL, 
	total BIGINT NOT NULL, 
	completed BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	cancelled BIGINT NOT NULL, 
	live BIGINT NOT NULL, 
	stored BIGINT NOT NULL, 
	execution_ms FLOAT NOT NULL, position BIGINT DEFAULT '0' NOT NULL, elapsed_ms FLOAT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "totals" VALUES(1,8,8,0,0,0,8,401.964,48,607.309);
CREATE TABLE turns (
	session_id TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	task_id TEXT, 
	content TEXT NOT NULL, 
	PRIMARY KEY (session_id, number)
)
 WITHOUT ROWID

;
INSERT INTO "turns" VALUES('address',1,'user','01a22d23-fe8d-70d7-9935-7ac07e1bc580','What is 12 times 7?');
INSERT INTO "turns" VALUES('address',2,'assistant','01a22d23-fe8d-70d7-9935-7ac07e1bc580','84');
INSERT INTO "turns" VALUES('ann',1,'user','01a22d24-029a-7b42-ba01-e28d6baa92e6','What is 12 times 7?');
INSERT INTO "turns" VALUES('ann',2,'assistant','01a22d24-029a-7b42-ba01-e28d6baa92e6','84');
INSERT INTO "turns" VALUES('first-key',1,'user','01a22d23-fa47-7c21-a50c-0249605a6c3e','What is 12 times 7?');
INSERT INTO "turns" VALUES('first-key',2,'assistant','01a22d23-fa47-7c21-a50c-0249605a6c3e','84');
INSERT INTO "turns" VALUES('ipv4',1,'user','01a22d23-fec1-7dc7-a350-2d77b103ae31','What is 12 times 7?');
INSERT INTO "turns" VALUES('ipv4',2,'assistant','01a22d23-fec1-7dc7-a350-2d77b103ae31','84');
INSERT INTO "turns" VALUES('ipv6',1,'user','01a22d23-fee3-7b5f-81fd-09af4f7d871c','What is 12 times 7?');
INSERT INTO "turns" VALUES('ipv6',2,'assistant','01a22d23-fee3-7b5f-81fd-09af4f7d871c','84');
INSERT INTO "turns" VALUES('process',1,'user','01a22d24-00f9-7881-80ef-5685e84209a6','What is 12 times 7?');
INSERT INTO "turns" VALUES('process',2,'assistant','01a22d24-00f9-7881-80ef-5685e84209a6','84');
INSERT INTO "turns" VALUES('schluessel',1,'user','01a22d23-fb4a-7b51-8c8e-668be0798381','What is 12 times 7?');
INSERT INTO "turns" VALUES('schluessel',2,'assistant','01a22d23-fb4a-7b51-8c8e-668be0798381','84');
INSERT INTO "turns" VALUES('second-key',1,'user','01a22d23-fb05-78ae-a889-82921ebb8186','What is 12 times 7?');
INSERT INTO "turns" VALUES('second-key',2,'assistant','01a22d23-fb05-78ae-a889-82921ebb8186','84');
CREATE TABLE usage (
	scope TEXT NOT NULL, 
	name TEXT NOT NULL, 
	day TEXT NOT NULL, 
	model_calls BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	cost_usd FLOAT NOT NULL, 
	skill_calls BIGINT NOT NULL, 
	failures BIGINT NOT NULL, 
	wall_ms FLOAT NOT NULL, tasks BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (scope, name, day)
)
 WITHOUT ROWID

;
INSERT INTO "usage" VALUES('agent','master','',0,0,0,0.0,0,0,0.0,8);
INSERT INTO "usage" VALUES('caller','ann','2026-11-30',0,0,0,0.0,1,0,1.19702779998078767675e+01,0);
INSERT INTO "usage" VALUES('caller','ip:127.0.0.1','2026-11-30',0,0,0,0.0,1,0,1.29355280000709171872e+01,0);
INSERT INTO "usage" VALUES('caller','ip:192.0.2.7','2026-11-30',0,0,0,0.0,1,0,1.92480519999662647023e+01,0);
INSERT INTO "usage" VALUES('caller','ip:2001:db8:1:2::/64','2026-11-30',0,0,0,0.0,1,0,5.57588000015130091924e+00,0);
INSERT INTO "usage" VALUES('caller','key:744e3f2db4a90571','2026-11-30',0,0,0,0.0,1,0,1.64711719999104388989e+01,0);
INSERT INTO "usage" VALUES('caller','key:b403ac760ffbe9c4','2026-11-30',0,0,0,0.0,1,0,6.02475699997739866375e+00,0);
INSERT INTO "usage" VALUES('caller','key:b454f189e8ec840b','2026-11-30',0,0,0,0.0,1,0,5.90834099989479,0);
INSERT INTO "usage" VALUES('caller','nobody','2026-11-30',0,0,0,0.0,1,0,3.04455683000014687422e+02,0);
INSERT INTO "usage" VALUES('skill','calculate','',0,0,0,0.0,8,0,0.0,0);
INSERT INTO "usage" VALUES('task','01a22d23-fa47-7c21-a50c-0249605a6c3e','',0,0,0,0.0,1,0,1.64711719999104388989e+01,0);
INSERT INTO "usage" VALUES('task','01a22d23-fb05-78ae-a889-82921ebb8186','',0,0,0,0.0,1,0,6.02475699997739866375e+00,0);
INSERT INTO "usage" VALUES('task','01a22d23-fb4a-7b51-8c8e-668be0798381','',0,0,0,0.0,1,0,5.90834099989479,0);
INSERT INTO "usage" VALUES('task','01a22d23-fe8d-70d7-9935-7ac07e1bc580','',0,0,0,0.0,1,0,1.29355280000709171872e+01,0);
INSERT INTO "usage" VALUES('task','01a22d23-fec1-7dc7-a350-2d77b103ae31','',0,0,0,0.0,1,0,1.92480519999662647023e+01,0);
INSERT INTO "usage" VALUES('task','01a22d23-fee3-7b5f-81fd-09af4f7d871c','',0,0,0,0.0,1,0,5.57588000015130091924e+00,0);
INSERT INTO "usage" VALUES('task','01a22d24-00f9-7881-80ef-5685e84209a6','',0,0,0,0.0,1,0,3.04455683000014687422e+02,0);
INSERT INTO "usage" VALUES('task','01a22d24-029a-7b42-ba01-e28d6baa92e6','',0,0,0,0.0,1,0,1.19702779998078767675e+01,0);
CREATE INDEX ix_tasks_session ON tasks (session_id, id);
CREATE INDEX ix_tasks_status ON tasks (status, id);
CREATE INDEX ix_tasks_session_status ON tasks (session_id, status, id);
CREATE INDEX ix_tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_tasks_dead ON tasks (id) WHERE error_code = 'dead_letter';
CREATE INDEX ix_answers_created_at ON answers (created_at);
CREATE INDEX ix_deliveries_task ON deliveries (task_id, id);
CREATE INDEX ix_deliveries_state ON deliveries (state, id);
CREATE INDEX ix_deliveries_next ON deliveries (next_at);
CREATE INDEX ix_tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX ix_tasks_root ON tasks (root_id) WHERE root_id IS NOT NULL;
CREATE INDEX ix_events_position ON events (position);
CREATE INDEX ix_tasks_agent ON tasks (agent, id) WHERE agent IS NOT NULL;
CREATE INDEX ix_sessions_updated ON sessions (updated_at, id);
CREATE INDEX ix_deliveries_due ON deliveries (next_at, receiver, site, caller, id) WHERE next_at IS NOT NULL;
COMMIT;
